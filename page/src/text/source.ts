/** The text of an input, whichever way it was given. */

import { valueIn } from "../image/source";
import type { Input } from "../types";

const NAMES = ["text", "context", "data", "body", "input", "inputs"];

/** null where the input holds no single text: `field` is the card's name of it in JSON. */
export function textOf(input: Input, field: string): string | null {
  if (input.kind === "text") return input.text;
  if (input.kind !== "json") return null;
  const value = valueIn(input.value, [field, ...NAMES]);
  if (typeof value === "string") return value;
  const nested = valueIn(value, [field, ...NAMES]);
  return typeof nested === "string" ? nested : null;
}
