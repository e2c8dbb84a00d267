/** The rest of an answer: that a text was cut, that a recording was silent, features that were asked for. */

import type { FunctionComponent } from "preact";
import { type Fields, isFields, isNumber } from "./forms";
import { JsonTree } from "./json_tree";
import { count } from "./numbers";

const ALSO = ["embedding", "features"];

export const Notes: FunctionComponent<{ answer: Fields }> = ({ answer }) => {
  const tokens = isFields(answer.tokens) ? answer.tokens : {};
  const cut = answer.truncated === true;
  const extra = ALSO.filter((name) => answer[name] !== undefined);
  return (
    <>
      {cut && (
        <p class="note">
          {isNumber(tokens.read) && isNumber(tokens.sent)
            ? `The model read ${count(tokens.read)} of ${count(tokens.sent)} tokens; the rest was cut off.`
            : "A limit on the number of tokens cut the text off."}
        </p>
      )}
      {answer.silent === true && <p class="note">The recording is silent.</p>}
      {extra.map((name) => (
        <details key={name}>
          <summary>{name}</summary>
          <JsonTree value={answer[name]} level={2} />
        </details>
      ))}
    </>
  );
};
