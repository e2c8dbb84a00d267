/** A text with parts of it marked. */

import type { ComponentChildren, FunctionComponent } from "preact";
import { useMemo } from "preact/hooks";
import { utf16Offsets } from "./code_points";

/** start, end: in characters, as the server counts them. label: shown behind the part; title: under the pointer. */
export type Mark = { start: number; end: number; colour: string; label?: string; title?: string };

export const MOST_MARKS = 3000;

type Props = {
  text: string;
  marks: Mark[];
  active?: number | null;
  onActive?: (index: number | null) => void;
};

export const MarkedText: FunctionComponent<Props> = ({ text, marks, active, onActive }) => {
  const parts = useMemo(() => split(text, marks), [text, marks]);
  return (
    <p class="marked-text" dir="auto">
      {parts.map(({ piece, index }): ComponentChildren => {
        if (index === null) return piece;
        const mark = marks[index]!;
        return (
          <mark
            key={index}
            class={index === active ? "active" : ""}
            data-label={mark.label}
            title={mark.title}
            style={{ backgroundColor: mark.colour }}
            onPointerEnter={() => onActive?.(index)}
            onPointerLeave={() => onActive?.(null)}
          >
            {piece}
          </mark>
        );
      })}
    </p>
  );
};

type Part = { piece: string; index: number | null };

/** The text in pieces, each with the position of its mark; of marks that overlap the earlier one counts. */
function split(text: string, marks: Mark[]): Part[] {
  const offset = utf16Offsets(text);
  const order = marks.map((_, index) => index).sort((a, b) => marks[a]!.start - marks[b]!.start || a - b);
  const parts: Part[] = [];
  let place = 0;
  for (const index of order.slice(0, MOST_MARKS)) {
    const [start, end] = [offset(marks[index]!.start), offset(marks[index]!.end)];
    if (start < place || end <= start) continue;
    if (start > place) parts.push({ piece: text.slice(place, start), index: null });
    parts.push({ piece: text.slice(start, end), index });
    place = end;
  }
  if (place < text.length) parts.push({ piece: text.slice(place), index: null });
  return parts;
}
