/** The microphone: a recording as a WAV file at the model's rate. */

import type { FunctionComponent } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { decode, RATE } from "../sound/source";
import { wav } from "../sound/wav";
import type { Card } from "../types";

const METER_MS = 100;
const FALLBACK_SECONDS = 60;

type Running = { stop: () => void };

export const Recorder: FunctionComponent<{ card: Card; onRecorded: (file: Blob) => void }> = ({ card, onRecorded }) => {
  const [state, setState] = useState<"idle" | "asking" | "recording" | "encoding">("idle");
  const [problem, setProblem] = useState("");
  const [level, setLevel] = useState(0);
  const [elapsed, setElapsed] = useState(0);
  const running = useRef<Running | null>(null);
  const gone = useRef(false);
  useEffect(
    () => () => {
      gone.current = true;
      running.current?.stop();
    },
    [],
  );
  const rate = card.preprocessing.sample_rate ?? RATE;
  const most = longest(card, rate);

  const start = async (): Promise<void> => {
    setProblem("");
    setState("asking");
    try {
      if (!navigator.mediaDevices) throw Error("the browser offers the microphone to https:// and localhost alone");
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      if (gone.current) return stream.getTracks().forEach((track) => track.stop());
      running.current = record(stream, most, setLevel, setElapsed, (file) => void finish(file));
      setState("recording");
    } catch (error) {
      setProblem(`The microphone cannot be used: ${reason(error)}.`);
      setState("idle");
    }
  };

  const finish = async (file: Blob): Promise<void> => {
    running.current = null;
    if (gone.current) return;
    setState("encoding");
    try {
      const { samples } = await decode(file, rate);
      if (!gone.current) onRecorded(wav(samples, rate));
    } catch (error) {
      setProblem(`The recording cannot be read: ${reason(error)}.`);
    }
    setState("idle");
  };

  return (
    <>
      {state === "recording" ? (
        <>
          <button type="button" class="recording" onClick={() => running.current?.stop()}>
            Stop
          </button>
          <meter min={0} max={1} value={level} aria-label="Level of the microphone" />
          <span role="timer">
            {elapsed.toFixed(1)} of {most.toFixed(0)} s
          </span>
        </>
      ) : (
        <button type="button" disabled={state !== "idle"} onClick={() => void start()}>
          Record
        </button>
      )}
      {problem && (
        <p class="invalid" role="alert">
          {problem}
        </p>
      )}
    </>
  );
};

/** As long as the model takes, both in seconds and in bytes of a WAV file. */
function longest(card: Card, rate: number): number {
  const { max_seconds: seconds, max_bytes: bytes } = card.limits;
  const bySize = typeof bytes === "number" ? (bytes - 44) / (2 * rate) : Infinity;
  return Math.min(typeof seconds === "number" ? seconds : FALLBACK_SECONDS, bySize);
}

function record(
  stream: MediaStream,
  most: number,
  onLevel: (level: number) => void,
  onElapsed: (seconds: number) => void,
  onDone: (file: Blob) => void,
): Running {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const recorder = new MediaRecorder(stream);
  const parts: Blob[] = [];
  const begun = performance.now();
  const stop = (): void => {
    if (recorder.state !== "inactive") recorder.stop();
  };
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    onLevel(samples.reduce((loudest, sample) => Math.max(loudest, Math.abs(sample)), 0));
    const seconds = (performance.now() - begun) / 1000;
    onElapsed(seconds);
    if (seconds >= most - METER_MS / 1000) stop();
  }, METER_MS);
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.onstop = () => {
    clearInterval(timer);
    for (const track of stream.getTracks()) track.stop();
    void context.close();
    onDone(new Blob(parts, { type: recorder.mimeType }));
  };
  recorder.start();
  return { stop };
}

const reason = (error: unknown): string => (error instanceof Error ? error.message || error.name : String(error));
