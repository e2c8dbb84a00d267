/** The text of a recording, with the times of its words or segments where they were asked for. */

import type { FunctionComponent } from "preact";
import { useMemo, useState } from "preact/hooks";
import { soundOf } from "../sound/source";
import { SoundView } from "../sound/view";
import type { Card, Input } from "../types";
import { type Fields, isFields, isNumber, isSpoken, isText, listOf, type Spoken } from "./forms";
import { Notes } from "./notes";
import { count, seconds } from "./numbers";
import { ResultList } from "./result_list";
import { MOST_SPANS, SPEECH } from "./voice_activity";

type TranscriptAnswer = Fields & { text: string; words?: Spoken[]; segments?: Spoken[] };

export function isTranscript(answer: unknown): answer is TranscriptAnswer {
  const optional = (value: unknown): boolean => value === undefined || listOf(isSpoken)(value);
  return isFields(answer) && isText(answer.text) && optional(answer.words) && optional(answer.segments);
}

/** answer: with the text so far, and `seconds` once it is complete. */
export const Transcript: FunctionComponent<{ answer: TranscriptAnswer; input: Input; card: Card }> = (props) => {
  const { answer, input, card } = props;
  const [pointed, setPointed] = useState<number | null>(null);
  const [from, setFrom] = useState<{ second: number } | null>(null);
  const [time, setTime] = useState(0);
  const source = useMemo(() => soundOf(input, card.input.field), [input, card]);
  const spoken = answer.words ?? answer.segments ?? [];
  const shown = useMemo(() => spoken.slice(0, MOST_SPANS), [spoken]);
  const playing = time > 0 ? shown.findIndex(({ start, end }) => time >= start && time < end) : -1;
  const active = pointed ?? (playing < 0 ? null : playing);
  const done = isNumber(answer.seconds);
  return (
    <>
      <p class={`generated${done ? "" : " writing"}`} dir="auto" role="log" aria-busy={!done}>
        {answer.text || (done ? "No words." : "")}
      </p>
      {isText(answer.language) && <p class="note">Language: {answer.language}</p>}
      <SoundView
        source={source}
        seconds={isNumber(answer.seconds) ? answer.seconds : 0}
        spans={shown.map(({ start, end, text }) => ({ start, end, colour: SPEECH, label: text }))}
        active={active}
        onActive={setPointed}
        from={from}
        onTime={setTime}
      />
      {shown.length < spoken.length && (
        <p class="note">
          The first {count(shown.length)} of {count(spoken.length)} are shown.
        </p>
      )}
      {shown.length > 0 && (
        <ResultList
          label={answer.words ? "Words with their times" : "Segments with their times"}
          entries={shown.map(({ start, end, text }) => ({
            label: text ?? "",
            detail: `${seconds(start)} to ${seconds(end)}`,
          }))}
          active={active}
          onActive={setPointed}
          onChoose={(index) => setFrom({ second: shown[index]!.start })}
        />
      )}
      <Notes answer={{ ...answer, tokens: undefined }} />
    </>
  );
};
