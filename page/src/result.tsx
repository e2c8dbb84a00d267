import type { FunctionComponent } from "preact";
import { Answer } from "./answers";
import { CopyAs } from "./copy-as";
import type { Outcome } from "./outcome";
import { Problem } from "./problem";
import { RawJson } from "./raw";
import type { Call } from "./request";
import { TimingRow } from "./timing";
import type { Card } from "./types";

type Props = { outcome: Outcome; call: Call | null; card: Card; version: string; grpc: string };

export const Result: FunctionComponent<Props> = ({ outcome, call, card, version, grpc }) => (
  <section aria-label="Answer" aria-busy={outcome.kind === "running"} class="result">
    <p class="muted" role="status">
      {outcome.kind === "running" && "Asking…"}
      {(outcome.kind === "json" || outcome.kind === "file") && "Answered."}
    </p>
    {outcome.kind === "running" && outcome.written && (
      <Answer task={card.task} answer={{ text: outcome.written }} input={outcome.input} card={card} />
    )}
    {outcome.kind === "failed" && <Problem error={outcome.error} />}
    {(outcome.kind === "json" || outcome.kind === "file") && (
      <>
        <h2>Answer</h2>
        <Answer task={card.task} answer={outcome.value} input={outcome.input} card={card} />
        <TimingRow timing={outcome.timing} />
        {outcome.kind === "json" && (
          <details>
            <summary>JSON</summary>
            <RawJson label="JSON" text={outcome.text} />
          </details>
        )}
      </>
    )}
    {call && outcome.kind !== "nothing" && <CopyAs call={call} card={card} version={version} grpc={grpc} />}
  </section>
);
