/** Attributions of a recording's bands and frames, and their sums over time. */

import type { FunctionComponent } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { css, signColour } from "../../image/colours";
import { soundOf } from "../../sound/source";
import { SoundView } from "../../sound/view";
import type { Card, Input } from "../../types";
import { type Fields, isFields, isNumbers, isSpoken, listOf, type Spoken } from "../forms";
import { cellsOf } from "./heat_map";
import { decimal } from "../numbers";
import { strengths } from "./strengths";

const HEIGHT = 100;

/** attributions: by band, the lowest first, and frame. hertz: null where only the network knows its bands. */
type Attributions = Fields & {
  attributions: number[][];
  curve: number[];
  seconds: number[];
  hertz: number[] | null;
  part: Spoken;
};

export function isSoundExplanation(value: Fields): value is Attributions {
  const { attributions, curve, seconds, hertz, part } = value;
  if (!listOf(isNumbers)(attributions) || !isNumbers(curve) || !isNumbers(seconds)) return false;
  return curve.length > 0 && isFields(part) && isSpoken(part) && (hertz === null || isNumbers(hertz));
}

type Props = { explanation: Attributions; input: Input; card: Card };

export const SoundExplanation: FunctionComponent<Props> = ({ explanation, input, card }) => {
  const { attributions, curve, seconds, hertz, part } = explanation;
  const source = useMemo(() => soundOf(input, card.input.field), [input, card]);
  const ends = [seconds[0] ?? 0, seconds.at(-1) ?? 0];
  const bands = hertz ? `${decimal(hertz[0] ?? 0)} to ${decimal(hertz.at(-1) ?? 0)} Hz, the lowest at the bottom` : "";
  return (
    <>
      <SoundView source={source} seconds={part.end} spans={[{ ...part, colour: "rgb(128 128 128 / 0.3)" }]} />
      <h3>
        From {decimal(ends[0]!)} s to {decimal(ends[1]!)} s
      </h3>
      <Bands rows={attributions} label={`Attributions by band and frame. ${bands}`} />
      <Curve values={curve} />
      {bands && <p class="note">{bands}</p>}
    </>
  );
};

const Bands: FunctionComponent<{ rows: number[][]; label: string }> = ({ rows, label }) => {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, height] = [rows[0]?.length ?? 1, rows.length];
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    context?.clearRect(0, 0, width, height);
    context?.drawImage(cellsOf(rows.toReversed()), 0, 0);
  }, [rows, width, height]);
  return <canvas ref={canvas} class="bands" width={width} height={height} role="img" aria-label={label} />;
};

const Curve: FunctionComponent<{ values: number[] }> = ({ values }) => {
  const shares = strengths(values);
  const step = 1 / values.length;
  return (
    <svg
      class="band-curve"
      viewBox={`0 0 1 ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label="Sum over the bands"
    >
      {values.map((value, index) => {
        const size = (Math.abs(shares[index]!) * HEIGHT) / 2;
        const top = value >= 0 ? HEIGHT / 2 - size : HEIGHT / 2;
        return <rect key={index} x={index * step} y={top} width={step} height={size} fill={css(signColour(value))} />;
      })}
    </svg>
  );
};
