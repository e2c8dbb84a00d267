/** A generated text, complete or while it is written. */

import type { FunctionComponent } from "preact";
import { type Fields, isFields, isNumber, isText } from "./forms";
import { Notes } from "./notes";
import { count } from "./numbers";

const REASONS: Record<string, string> = {
  eos_token: "the model ended the text",
  stop_sequence: "a stop sequence came",
  length: "the limit on new tokens was reached",
  time_limit: "the time for a request was over",
};

export function isGeneration(answer: unknown): answer is Fields & { text: string } {
  return isFields(answer) && isText(answer.text);
}

/** answer: with the text so far, and `finish_reason` once it is complete. */
export const Generation: FunctionComponent<{ answer: Fields & { text: string } }> = ({ answer }) => {
  const reason = isText(answer.finish_reason) ? answer.finish_reason : null;
  const tokens = isFields(answer.tokens) ? answer.tokens : {};
  const truncation = answer.truncated === true ? { truncated: true, tokens } : {};
  return (
    <>
      <p class={`generated${reason ? "" : " writing"}`} dir="auto" role="log" aria-busy={!reason}>
        {answer.text}
      </p>
      {reason && (
        <dl class="facts">
          <dt>finished</dt>
          <dd>{REASONS[reason] ?? reason}</dd>
          {isNumber(tokens.written) && (
            <>
              <dt>tokens</dt>
              <dd>
                {isNumber(tokens.read) && `${count(tokens.read)} read, `}
                {count(tokens.written)} written
              </dd>
            </>
          )}
        </dl>
      )}
      <Notes answer={truncation} />
    </>
  );
};
