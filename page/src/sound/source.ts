/** The recording of an input, whichever way it was given, and its samples. */

import { fromBase64, valueIn } from "../image/source";
import type { Input } from "../types";
import { wav } from "./wav";

export type Sound = { samples: Float32Array; rate: number; seconds: number };

/** Of what is drawn, Hz: frequencies up to half of it are shown. */
export const RATE = 16_000;
const NAMES = ["audio", "data", "body", "input", "file"];

/** null where the input holds no recording: `field` is the card's name of it in JSON. */
export function soundOf(input: Input, field: string): Blob | null {
  if (input.kind === "audio") return input.blob;
  if (input.kind !== "json") return null;
  const value = valueIn(input.value, [field, ...NAMES]);
  if (typeof value === "string") return fromBase64(value);
  const rate = valueIn(input.value, ["sample_rate"]);
  if (!Array.isArray(value) || !value.every((sample) => typeof sample === "number")) return null;
  return wav(Float32Array.from(value), typeof rate === "number" && rate > 0 ? Math.round(rate) : RATE);
}

/** One channel, the mean of all, at `rate`. Raises an Error where the browser cannot read the format. */
export async function decode(file: Blob, rate = RATE): Promise<Sound> {
  const buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(await file.arrayBuffer());
  const samples = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const values = buffer.getChannelData(channel);
    for (let index = 0; index < samples.length; index++) samples[index]! += values[index]! / buffer.numberOfChannels;
  }
  return { samples, rate, seconds: buffer.duration };
}
