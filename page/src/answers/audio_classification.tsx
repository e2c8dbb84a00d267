/** The classes of a recording, in all and over time. */

import type { FunctionComponent } from "preact";
import { useMemo, useState } from "preact/hooks";
import { classColour, css } from "../image/colours";
import { soundOf } from "../sound/source";
import { SoundView } from "../sound/view";
import type { Card, Input } from "../types";
import { Classification, type Classes } from "./classification";
import { type Fields, isFields, isNumber, isSpoken } from "./forms";
import { percent, seconds } from "./numbers";
import { ResultList } from "./result_list";
import { MOST_SPANS, SPAN_OPACITY } from "./voice_activity";

type Window = Fields & { start: number; end: number };

export const AudioClassification: FunctionComponent<{ answer: Classes; input: Input; card: Card }> = (props) => {
  const { answer, input, card } = props;
  const [active, setActive] = useState<number | null>(null);
  const source = useMemo(() => soundOf(input, card.input.field), [input, card]);
  const windows = useMemo(() => windowsOf(answer.windows), [answer]);
  const colour = ({ index }: Window): string => (isNumber(index) ? css(classColour(index), SPAN_OPACITY) : "none");
  return (
    <>
      <Classification answer={answer} />
      <SoundView
        source={source}
        seconds={0}
        // Windows overlap by a half, so that each is drawn up to the next.
        spans={windows.map((window, index) => ({
          start: window.start,
          end: windows[index + 1]?.start ?? window.end,
          colour: colour(window),
          label: title(window),
        }))}
        active={active}
        onActive={setActive}
      />
      {windows.length > 0 && (
        <ResultList
          label="Classes over time"
          entries={windows.map((window) => ({
            label: `${seconds(window.start)} to ${seconds(window.end)}`,
            detail: title(window),
            colour: colour(window),
          }))}
          active={active}
          onActive={setActive}
        />
      )}
    </>
  );
};

function title({ label, probability, silent }: Window): string {
  if (silent === true) return "silent";
  return `${String(label)} ${isNumber(probability) ? percent(probability) : ""}`;
}

function windowsOf(value: unknown): Window[] {
  return Array.isArray(value)
    ? value.filter((each): each is Window => isFields(each) && isSpoken(each)).slice(0, MOST_SPANS)
    : [];
}
