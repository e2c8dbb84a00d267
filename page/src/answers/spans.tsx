/** Parts of a text that a model has found: entities, and the answers to a question. */

import type { FunctionComponent } from "preact";
import { useMemo, useState } from "preact/hooks";
import { classColour, css } from "../image/colours";
import { MarkedText, MOST_MARKS } from "../text/marked_text";
import { textOf } from "../text/source";
import type { Card, Input } from "../types";
import type { Fields, Span } from "./forms";
import { Notes } from "./notes";
import { count, percent } from "./numbers";
import { ResultList } from "./result_list";

const OPACITY = 0.35;

type Props = { spans: Span[]; answer: Fields; input: Input; card: Card; label: string; none: string };

export const Spans: FunctionComponent<Props> = ({ spans, answer, input, card, label, none }) => {
  const [active, setActive] = useState<number | null>(null);
  const text = textOf(input, card.input.field);
  const shown = useMemo(() => spans.slice(0, MOST_MARKS), [spans]);
  const colours = useMemo(() => coloursOf(shown), [shown]);
  const marks = useMemo(
    () =>
      shown.map((span, index) => ({
        start: span.start,
        end: span.end,
        colour: css(colours[index]!, OPACITY),
        label: span.label,
        title: [span.label, percent(span.score)].filter(Boolean).join(" "),
      })),
    [shown, colours],
  );
  return (
    <>
      {text !== null && <MarkedText text={text} marks={marks} active={active} onActive={setActive} />}
      {spans.length === 0 && <p class="note">{none}</p>}
      {shown.length < spans.length && (
        <p class="note">
          The first {count(shown.length)} of {count(spans.length)} are shown.
        </p>
      )}
      <ResultList
        label={label}
        entries={shown.map((span, index) => ({
          label: span.label ? `${span.label}: ${span.text}` : span.text,
          detail: percent(span.score),
          colour: css(colours[index]!),
        }))}
        active={active}
        onActive={setActive}
      />
      <Notes answer={answer} />
    </>
  );
};

/** One for each label, in the order in which the labels come; one for all where there are none. */
function coloursOf(spans: Span[]) {
  const labels = [...new Set(spans.map((span) => span.label ?? ""))];
  return spans.map((span) => classColour(labels.indexOf(span.label ?? "") + 1));
}
