/** Explanations: which parts of an input speak for a class, and which against it. */

import type { ComponentChildren, FunctionComponent } from "preact";
import { useMemo } from "preact/hooks";
import { css, signColour } from "../../image/colours";
import { ImageView } from "../../image/view";
import { MarkedText } from "../../text/marked_text";
import { textOf } from "../../text/source";
import type { Card, Input } from "../../types";
import { type Fields, isFields, isNumber, isNumbers, isText, listOf } from "../forms";
import { HeatMap } from "./heat_map";
import { JsonTree } from "../json_tree";
import { Notes } from "../notes";
import { count, decimal } from "../numbers";
import { isSoundExplanation, SoundExplanation } from "./sound";
import { strengths } from "./strengths";

type Props = { explanation: unknown; input: Input; card: Card };
type Token = Fields & { text: string; start: number | null; end: number | null; weight: number };

const STRONGEST = 0.7;
const MOST_TOKENS = 2000;

/** explanation: parsed JSON, or a Blob: the PNG that the server has drawn. */
export const Explanation: FunctionComponent<Props> = ({ explanation, input, card }) => {
  if (explanation instanceof Blob) {
    return <ImageView source={explanation} size={null} label="Explanation, as the server draws it" />;
  }
  const drawn = draw(explanation, input, card);
  if (!drawn || !isFields(explanation)) return <JsonTree value={explanation} />;
  return (
    <div class="explanation">
      <Facts explanation={explanation} />
      <p class="note">
        <span class="swatch for" /> for the class, <span class="swatch against" /> against it
      </p>
      {drawn}
      <Notes answer={explanation} />
    </div>
  );
};

function draw(explanation: unknown, input: Input, card: Card): ComponentChildren {
  if (!isFields(explanation)) return null;
  const { attributions, box } = explanation;
  if (isTokens(attributions)) return <TokenWeights tokens={attributions} input={input} card={card} />;
  if (!listOf(isNumbers)(attributions)) return null;
  if (isSoundExplanation(explanation)) return <SoundExplanation explanation={explanation} input={input} card={card} />;
  if (!isNumbers(box) || box.length !== 4) return null;
  return <HeatMap rows={attributions} box={box as [number, number, number, number]} input={input} card={card} />;
}

const Facts: FunctionComponent<{ explanation: Fields }> = ({ explanation }) => {
  const { method, target, evaluations, completeness } = explanation;
  return (
    <dl class="facts">
      {isFields(target) && (
        <>
          <dt>explained</dt>
          <dd>
            {String(target.label)} {isNumber(target.score) && `(score ${decimal(target.score)})`}
          </dd>
        </>
      )}
      {isText(method) && (
        <>
          <dt>method</dt>
          <dd>
            {method} {isNumber(evaluations) && `(${count(evaluations)} runs of the model)`}
          </dd>
        </>
      )}
      {isFields(completeness) && isNumber(completeness.delta) && (
        <>
          <dt>complete</dt>
          <dd>
            {completeness.holds === true ? "yes" : "no: ask for more n_steps"} (off by {decimal(completeness.delta)})
          </dd>
        </>
      )}
    </dl>
  );
};

const TokenWeights: FunctionComponent<{ tokens: Token[]; input: Input; card: Card }> = ({ tokens, input, card }) => {
  const parts = useMemo(() => merged(tokens), [tokens]);
  const marks = useMemo(() => {
    const shares = strengths(parts.map((part) => part.weight));
    return parts.map(({ start, end, weight }, index) => ({
      start,
      end,
      colour: css(signColour(weight), STRONGEST * Math.abs(shares[index]!)),
      title: decimal(weight),
    }));
  }, [parts]);
  const text = textOf(input, card.input.field);
  if (text === null || parts.length === 0) return <TokenList tokens={tokens} />;
  return (
    <>
      <MarkedText text={text} marks={marks} />
      <details>
        <summary>Weights</summary>
        <TokenList tokens={tokens} />
      </details>
    </>
  );
};

const TokenList: FunctionComponent<{ tokens: Token[] }> = ({ tokens }) => (
  <ol class="token-weights">
    {tokens.slice(0, MOST_TOKENS).map(({ text, weight }, index) => (
      <li key={index}>
        <code>{text}</code> <span>{decimal(weight)}</span>
      </li>
    ))}
  </ol>
);

/** Tokens with their places; several of one place, such as the bytes of a character, added up. */
function merged(tokens: Token[]): { start: number; end: number; weight: number }[] {
  const parts: { start: number; end: number; weight: number }[] = [];
  for (const { start, end, weight } of tokens) {
    if (start === null || end === null) continue;
    const last = parts.at(-1);
    if (last && start < last.end) {
      last.end = Math.max(last.end, end);
      last.weight += weight;
    } else parts.push({ start, end, weight });
  }
  return parts;
}

function isTokens(value: unknown): value is Token[] {
  return listOf(isToken)(value);
}

function isToken(value: unknown): value is Token {
  if (!isFields(value) || !isText(value.text) || !isNumber(value.weight)) return false;
  return [value.start, value.end].every((offset) => offset === null || isNumber(offset));
}
