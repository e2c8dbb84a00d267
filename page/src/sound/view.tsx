/** A recording as its waveform and spectrogram over one time axis, with spans of time marked. */

import type { FunctionComponent } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { scaleColour } from "../image/colours";
import { decode, type Sound } from "./source";
import { levels, WINDOW } from "./spectrum";

const COLUMNS = 800;
const FRAMES = 600;
const TICKS = 4;
const LOADED = 10_000; // ms after which a player that has been removed loads no more

/** start, end: in seconds. */
export type TimeSpan = { start: number; end: number; colour: string; label?: string };

type Props = {
  source: Blob | null;
  /** Of the answer: the length of the axis where the browser cannot read the recording. */
  seconds: number;
  spans: TimeSpan[];
  active?: number | null;
  onActive?: (index: number | null) => void;
  /** Where to play from. */
  from?: { second: number } | null;
  onTime?: (second: number) => void;
};

export const SoundView: FunctionComponent<Props> = ({ source, seconds, spans, active, onActive, from, onTime }) => {
  const sound = useSound(source);
  const player = useRef<HTMLAudioElement>(null);
  const [time, setTime] = useState(0);
  const address = useAddress(source);
  useEffect(() => {
    if (!from || !player.current) return;
    player.current.currentTime = from.second;
    void player.current.play().catch(() => undefined); // as where the browser cannot play the format
  }, [from]);
  const known = sound && !(sound instanceof Error) ? sound : null;
  const length = known?.seconds ?? Math.max(seconds, ...spans.map((span) => span.end), 0.001);
  const point = (event: PointerEvent): void => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const second = ((event.clientX - box.left) / box.width) * length;
    const found = spans.findIndex(({ start, end }) => second >= start && second < end);
    onActive?.(found < 0 ? null : found);
  };
  const moved = (event: { currentTarget: HTMLAudioElement }): void => {
    setTime(event.currentTarget.currentTime);
    onTime?.(event.currentTarget.currentTime);
  };
  return (
    <figure class="sound-view">
      {sound instanceof Error && <p class="note">This browser cannot read the recording's format.</p>}
      <div class="sound-layers" onPointerMove={point} onPointerLeave={() => onActive?.(null)}>
        <Waveform sound={known} />
        <Spectrogram sound={known} />
        <svg class="layer spans" viewBox={`0 0 ${length} 1`} preserveAspectRatio="none" aria-hidden="true">
          {spans.map(({ start, end, colour, label }, index) => (
            <rect
              key={index}
              class={index === active ? "active" : ""}
              x={start}
              y={0}
              width={Math.max(0, end - start)}
              height={1}
              fill={colour}
            >
              {label && <title>{label}</title>}
            </rect>
          ))}
          <line class="cursor" x1={time} x2={time} y1={0} y2={1} />
        </svg>
      </div>
      <figcaption class="axis" aria-hidden="true">
        {Array.from({ length: TICKS + 1 }, (_, tick) => (
          <span key={tick}>{((length * tick) / TICKS).toFixed(length < 10 ? 2 : 1)} s</span>
        ))}
      </figcaption>
      {address && <audio ref={player} controls src={address} onTimeUpdate={moved} onSeeking={moved} />}
    </figure>
  );
};

const Waveform: FunctionComponent<{ sound: Sound | null }> = ({ sound }) => {
  const path = useMemo(() => (sound ? outline(sound.samples) : ""), [sound]);
  return (
    <svg class="waveform" viewBox={`0 -1 ${COLUMNS} 2`} preserveAspectRatio="none" role="img" aria-label="Waveform">
      <path d={path} />
    </svg>
  );
};

/** The least and the largest sample of each column, to the loudest of all. */
function outline(samples: Float32Array): string {
  const columns = Math.min(COLUMNS, samples.length);
  const loudest = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 1e-6);
  const lines: string[] = [];
  for (let column = 0; column < columns; column++) {
    let [low, high] = [0, 0];
    const end = Math.floor(((column + 1) * samples.length) / columns);
    for (let index = Math.floor((column * samples.length) / columns); index < end; index++) {
      low = Math.min(low, samples[index]!);
      high = Math.max(high, samples[index]!);
    }
    const x = ((column + 0.5) * COLUMNS) / columns;
    lines.push(`M${x.toFixed(1)} ${(-high / loudest).toFixed(3)}V${(0.005 - low / loudest).toFixed(3)}`);
  }
  return lines.join("");
}

const Spectrogram: FunctionComponent<{ sound: Sound | null }> = ({ sound }) => {
  const canvas = useRef<HTMLCanvasElement>(null);
  const bands = WINDOW / 2;
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    context.clearRect(0, 0, FRAMES, bands);
    if (!sound) return;
    const found = levels(sound.samples, FRAMES);
    const image = context.createImageData(FRAMES, bands);
    for (let frame = 0; frame < FRAMES; frame++) {
      for (let band = 0; band < bands; band++) {
        const colour = scaleColour(found[frame * bands + band]!);
        image.data.set([...colour, 255], 4 * ((bands - 1 - band) * FRAMES + frame));
      }
    }
    context.putImageData(image, 0, 0);
  }, [sound]);
  const label = `Spectrogram, from 0 to ${(sound?.rate ?? 0) / 2} Hz`;
  return <canvas ref={canvas} class="spectrogram" width={FRAMES} height={bands} role="img" aria-label={label} />;
};

function useSound(source: Blob | null): Sound | Error | null {
  const [read, setRead] = useState<{ source: Blob; sound: Sound | Error } | null>(null);
  useEffect(() => {
    let current = true;
    if (!source) return;
    decode(source).then(
      (sound) => current && setRead({ source, sound }),
      (error: unknown) => current && setRead({ source, sound: error instanceof Error ? error : Error(String(error)) }),
    );
    return () => {
      current = false;
    };
  }, [source]);
  return read !== null && read.source === source ? read.sound : null;
}

/** An object URL, revoked a while after the component is removed or another recording is chosen. */
export function useAddress(source: Blob | null): string | null {
  const [address, setAddress] = useState<string | null>(null);
  useEffect(() => {
    if (!source) return setAddress(null);
    const made = URL.createObjectURL(source);
    setAddress(made);
    return () => void setTimeout(() => URL.revokeObjectURL(made), LOADED);
  }, [source]);
  return address;
}
