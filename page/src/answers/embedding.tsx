/** A vector: its length, its first values, and how similar it is to those of the inputs before it. */

import type { FunctionComponent } from "preact";
import { useMemo } from "preact/hooks";
import type { Card, Input } from "../types";
import { around, Bars } from "./bars";
import { type Fields, isFields, isNumbers } from "./forms";
import { Notes } from "./notes";
import { count, decimal } from "./numbers";

const FIRST = 8;
const REMEMBERED = 6;

type Vector = Fields & { embedding: number[] };
type Before = { answer: Vector; title: string };

// Of this page, by model: the last first.
const before = new Map<string, Before[]>();

export function isVector(answer: unknown): answer is Vector {
  return isFields(answer) && isNumbers(answer.embedding) && answer.embedding.length > 0;
}

export const Embedding: FunctionComponent<{ answer: Vector; input: Input; card: Card }> = ({ answer, input, card }) => {
  const others = useMemo(() => remember(`${card.name}/${card.version}`, answer, titleOf(input)), [answer, input, card]);
  const vector = answer.embedding;
  const scale = around(vector.slice(0, FIRST));
  const similar = others.map((other) => ({ ...other, cosine: cosine(vector, other.answer.embedding) }));
  return (
    <>
      <dl class="facts">
        <dt>dimensions</dt>
        <dd>{count(vector.length)}</dd>
        <dt>norm</dt>
        <dd>{decimal(Math.sqrt(dot(vector, vector)), 6)}</dd>
      </dl>
      {similar.length > 0 && (
        <>
          <h3>Cosine similarity to the inputs before</h3>
          <Bars
            label="Similarity to the inputs before, the last first"
            bars={similar.map(({ title, cosine: value }) => ({
              label: title,
              from: 0.5,
              to: (value + 1) / 2,
              text: value.toFixed(4),
            }))}
          />
        </>
      )}
      <h3>First values</h3>
      <Bars
        label="First values"
        bars={vector.slice(0, FIRST).map((value, index) => ({
          label: `[${index}]`,
          from: scale.from,
          to: scale.to(value),
          text: decimal(value),
        }))}
      />
      <Notes answer={{ ...answer, embedding: vector.length > FIRST ? vector : undefined }} />
    </>
  );
};

/** Those that came before `answer`, of as many dimensions. */
function remember(model: string, answer: Vector, title: string): Before[] {
  const all = before.get(model) ?? [];
  const others = all.filter((each) => each.answer !== answer);
  before.set(model, [{ answer, title }, ...others].slice(0, REMEMBERED));
  return others.filter((each) => each.answer.embedding.length === answer.embedding.length);
}

function cosine(a: number[], b: number[]): number {
  const norms = Math.sqrt(dot(a, a) * dot(b, b));
  return norms ? dot(a, b) / norms : 0;
}

function dot(a: number[], b: number[]): number {
  return a.reduce((sum, value, index) => sum + value * b[index]!, 0);
}

function titleOf(input: Input): string {
  if (input.kind === "text") return input.text.length > 60 ? `${input.text.slice(0, 60)}…` : input.text;
  return input.kind === "json" ? "JSON" : input.name;
}
