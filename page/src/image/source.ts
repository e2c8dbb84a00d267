/** The image of an input, whichever way it was given. */

import type { Input } from "../types";

export type ImageSource = Blob | ImageData;

const NAMES = ["image", "data", "body", "input", "file"];
const MAX_NUMBERS = 100_000_000;

/** null where the input holds no image: `field` is the card's name of it in JSON. */
export function imageOf(input: Input, field: string): ImageSource | null {
  if (input.kind === "image") return input.blob;
  if (input.kind !== "json") return null;
  return imageIn(valueIn(input.value, [field, ...NAMES]));
}

export function valueIn(body: unknown, names: string[]): unknown {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return body;
  const fields = body as Record<string, unknown>;
  return names.map((name) => fields[name]).find((value) => value !== undefined);
}

function imageIn(value: unknown): ImageSource | null {
  if (typeof value === "string") return fromBase64(value);
  return Array.isArray(value) ? fromNumbers(value) : null;
}

/** Base64 as the server reads it: URL-safe, padded or not, with line breaks, or in a data URL. */
export function fromBase64(text: string): Blob | null {
  const start = text.startsWith("data:") ? text.indexOf(",") + 1 : 0;
  const plain = text.slice(start).replace(/[\r\n]/g, "").replace(/-/g, "+").replace(/_/g, "/");
  try {
    const bytes = atob(plain);
    return new Blob([Uint8Array.from(bytes, (character) => character.charCodeAt(0))]);
  } catch {
    return null;
  }
}

/** [height][width][3] numbers from 0 to 255. */
function fromNumbers(rows: unknown[]): ImageData | null {
  const height = rows.length;
  const width = Array.isArray(rows[0]) ? rows[0].length : 0;
  if (!height || !width || height * width * 3 > MAX_NUMBERS) return null;
  const image = new ImageData(width, height);
  for (const [y, row] of rows.entries()) {
    if (!Array.isArray(row) || row.length !== width) return null;
    for (const [x, pixel] of row.entries()) {
      if (!Array.isArray(pixel) || pixel.length !== 3) return null;
      image.data.set([...pixel.map((level: unknown) => Math.round(Number(level))), 255], 4 * (y * width + x));
    }
  }
  return image;
}
