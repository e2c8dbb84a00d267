/** One call at a time: sent, followed while its answer is written, and ended where the user or the page does. */
import { useEffect, useRef, useState } from "preact/hooks";
import { type Call, init } from "./request";
import { lines, mediaType, read, send, ServerError } from "./server";
import { type Timing, timingOf } from "./timing";
import type { Input } from "./types";

const LINES = "application/x-ndjson";

/** `written`: of an answer in pieces, so far. `input`: that was asked about, whatever the form has meanwhile. */
export type Outcome =
  | { kind: "nothing" }
  | { kind: "running"; written: string; input: Input }
  | { kind: "failed"; error: ServerError }
  | { kind: "json"; value: unknown; text: string; timing: Timing; input: Input }
  | { kind: "file"; value: Blob; timing: Timing; input: Input };

type Caller = {
  outcome: Outcome;
  ask: (call: Call, input: Input) => void;
  fail: (error: ServerError) => void;
  cancel: () => void;
};

/** secret: the key. version: that answers where the answer does not say. */
export function useCall(secret: string, version: string, onKeyRefused: () => void): Caller {
  const [outcome, setOutcome] = useState<Outcome>({ kind: "nothing" });
  const running = useRef<AbortController | null>(null);
  const cancel = () => {
    running.current?.abort();
    running.current = null;
    setOutcome({ kind: "nothing" });
  };
  useEffect(() => () => running.current?.abort(), []);

  const ask = (call: Call, input: Input) => {
    running.current?.abort();
    const own = new AbortController();
    running.current = own;
    setOutcome({ kind: "running", written: "", input });
    const tell = (found: Outcome) => !own.signal.aborted && setOutcome(found);
    answered(call, input, secret, version, own.signal, (written) => tell({ kind: "running", written, input })).then(
      tell,
      (error: unknown) => {
        if (own.signal.aborted) return;
        if (!(error instanceof ServerError)) error = new ServerError(0, "Unreadable", String(error));
        tell({ kind: "failed", error: error as ServerError });
        if ((error as ServerError).wantsKey) onKeyRefused();
      },
    );
  };
  return { outcome, ask, fail: (error) => setOutcome({ kind: "failed", error }), cancel };
}

async function answered(
  call: Call,
  input: Input,
  secret: string,
  version: string,
  signal: AbortSignal,
  onWritten: (text: string) => void,
): Promise<Outcome> {
  const began = performance.now();
  const answer = await send(call.path, secret, init(call, signal));
  if (mediaType(answer) === LINES) {
    const { value, first } = await joined(answer, onWritten);
    const timing = timingOf(answer, version, performance.now() - began, first - began);
    return { kind: "json", value, text: JSON.stringify(value), timing, input };
  }
  const found = await read(answer);
  const timing = timingOf(answer, version, performance.now() - began, null);
  return found instanceof Blob ? { kind: "file", value: found, timing, input } : { kind: "json", ...found, timing, input };
}

/** The pieces as the answer that they are together. */
async function joined(answer: Response, onWritten: (text: string) => void) {
  let value: Record<string, unknown> = {};
  let text = "";
  let first = 0;
  for await (const piece of lines(answer)) {
    first ||= performance.now();
    text += typeof piece.text === "string" ? piece.text : "";
    value = { ...value, ...piece, text };
    onWritten(text);
  }
  if (!first) throw new ServerError(0, "Unreadable", "The answer ended before it began.");
  return { value, first };
}
