/** Where in a recording somebody speaks. */

import type { FunctionComponent } from "preact";
import { useMemo, useState } from "preact/hooks";
import { soundOf } from "../sound/source";
import { SoundView } from "../sound/view";
import type { Card, Input } from "../types";
import { type Fields, isFields, isNumber, isSpoken, listOf, type Spoken } from "./forms";
import { Notes } from "./notes";
import { count, percent, seconds } from "./numbers";
import { ResultList } from "./result_list";

export const MOST_SPANS = 1000;
export const SPAN_OPACITY = 0.3;
export const SPEECH = `rgb(255 140 0 / ${SPAN_OPACITY})`;

type VoiceAnswer = Fields & { segments: Spoken[]; speech_seconds: number; seconds: number };

export function isVoiceActivity(answer: unknown): answer is VoiceAnswer {
  if (!isFields(answer) || !listOf(isSpoken)(answer.segments)) return false;
  return isNumber(answer.speech_seconds) && isNumber(answer.seconds);
}

export const VoiceActivity: FunctionComponent<{ answer: VoiceAnswer; input: Input; card: Card }> = (props) => {
  const { answer, input, card } = props;
  const [active, setActive] = useState<number | null>(null);
  const [from, setFrom] = useState<{ second: number } | null>(null);
  const source = useMemo(() => soundOf(input, card.input.field), [input, card]);
  const shown = answer.segments.slice(0, MOST_SPANS);
  const share = answer.seconds > 0 ? answer.speech_seconds / answer.seconds : 0;
  return (
    <>
      <p>
        Speech: <strong>{seconds(answer.speech_seconds)}</strong> of {seconds(answer.seconds)} ({percent(share)})
      </p>
      <SoundView
        source={source}
        seconds={answer.seconds}
        spans={shown.map(({ start, end }) => ({ start, end, colour: SPEECH }))}
        active={active}
        onActive={setActive}
        from={from}
      />
      {shown.length < answer.segments.length && (
        <p class="note">
          The first {count(shown.length)} of {count(answer.segments.length)} segments are shown.
        </p>
      )}
      <ResultList
        label="Segments with speech"
        entries={shown.map(({ start, end }) => ({
          label: `${seconds(start)} to ${seconds(end)}`,
          detail: seconds(end - start),
        }))}
        active={active}
        onActive={setActive}
        onChoose={(index) => setFrom({ second: shown[index]!.start })}
      />
      <Notes answer={answer} />
    </>
  );
};
