/** A small observation, a field for each of its numbers. */

import type { FunctionComponent } from "preact";
import { useLayoutEffect, useMemo, useState } from "preact/hooks";
import { isFields } from "../answers/forms";
import { decimal } from "../answers/numbers";
import type { Card, Input, Observation } from "../types";
import type { EditorProps } from "./editor";

const MOST_FIELDS = 64;
const STEPS = 200;

/** Whether the observation is small enough, and the input, if there is one, is a single one of its shape. */
export function hasFields(card: Card, value: Input | null): boolean {
  const shape = card.preprocessing.observation?.shape;
  if (!shape || !shape.every(Number.isInteger) || sizeOf(shape) > MOST_FIELDS || sizeOf(shape) < 1) return false;
  return value === null || valuesOf(value, shape) !== null;
}

export const ObservationEditor: FunctionComponent<EditorProps> = ({ card, value, onChange }) => {
  const observation = card.preprocessing.observation as Observation;
  const { shape } = observation;
  const fields = useMemo(() => fieldsOf(observation), [observation]);
  // As typed: an empty field, or "-" on the way to "-1", is not a number yet.
  const [typed, setTyped] = useState<string[]>(() => fields.map(({ low, high }) => String(inside(0, low, high))));
  const values = value && valuesOf(value, shape);
  // Before anybody can type: a later effect would put the first numbers over theirs.
  useLayoutEffect(() => {
    if (value === null) send(typed);
  }, []);
  const send = (texts: string[]): void => {
    const numbers = texts.map((text) => (text.trim() ? Number(text) : NaN));
    const valid = numbers.every((number, index) => problemOf(number, fields[index]!) === null);
    onChange(valid ? { kind: "json", value: { data: nested(numbers, shape) } } : null);
  };
  const shown = values && !same(values, typed) ? values.map(String) : typed;
  const change = (index: number, text: string): void => {
    const next = shown.with(index, text);
    setTyped(next);
    send(next);
  };
  return (
    <div class="observation" role="group" aria-label="The observation">
      {fields.map((field, index) => {
        const { name, low, high } = field;
        const text = shown[index]!;
        const problem = problemOf(text.trim() ? Number(text) : NaN, field);
        return (
          <div key={name} class="number-field">
            <label for={`value-${index}`}>{name}</label>
            <input
              id={`value-${index}`}
              inputMode="decimal"
              value={text}
              aria-invalid={problem !== null}
              onInput={(event) => change(index, event.currentTarget.value)}
            />
            {low !== null && high !== null && (
              <input
                type="range"
                aria-label={`${name}, from ${low} to ${high}`}
                min={low}
                max={high}
                step={(high - low) / STEPS}
                value={Number(text) || 0}
                onInput={(event) => change(index, String(Number(event.currentTarget.valueAsNumber.toPrecision(6))))}
              />
            )}
            {problem && <span class="invalid">{problem}</span>}
          </div>
        );
      })}
    </div>
  );
};

type Field = { name: string; low: number | null; high: number | null };

function fieldsOf({ shape, low, high }: Observation): Field[] {
  const [lows, highs] = [flat(low), flat(high)];
  return Array.from({ length: sizeOf(shape) }, (_, index) => ({
    name: `observation${placeOf(index, shape)}`,
    low: lows[lows.length === 1 ? 0 : index] ?? null,
    high: highs[highs.length === 1 ? 0 : index] ?? null,
  }));
}

function problemOf(value: number, { low, high }: Field): string | null {
  if (!Number.isFinite(value)) return "not a number";
  if (low !== null && value < low) return `below ${decimal(low)}`;
  return high !== null && value > high ? `above ${decimal(high)}` : null;
}

const sizeOf = (shape: number[]): number => shape.reduce((product, side) => product * side, 1);

const flat = (bounds: unknown): (number | null)[] =>
  (Array.isArray(bounds) ? bounds.flat(Infinity) : [bounds]).map((bound) => (typeof bound === "number" ? bound : null));

const inside = (value: number, low: number | null, high: number | null): number =>
  Math.max(low ?? -Infinity, Math.min(high ?? Infinity, value));

const same = (values: number[], texts: string[]): boolean =>
  values.length === texts.length && values.every((value, index) => Number(texts[index]) === value);

/** `[1][3]`, as the server's errors name a value. */
function placeOf(index: number, shape: number[]): string {
  let [text, rest] = ["", index];
  for (const side of shape.toReversed()) {
    text = `[${rest % side}]${text}`;
    rest = Math.floor(rest / side);
  }
  return text;
}

function nested(values: number[], shape: number[]): unknown {
  const [side, ...rest] = shape;
  if (side === undefined) return values[0];
  const size = sizeOf(rest);
  return Array.from({ length: side }, (_, index) => nested(values.slice(index * size, (index + 1) * size), rest));
}

/** The numbers of a single observation, null where the input is anything else. */
function valuesOf(input: Input, shape: number[]): number[] | null {
  if (input.kind !== "json") return null;
  const { value } = input;
  // Further keys are parameters, and have no field here.
  if (isFields(value) && Object.keys(value).some((key) => key !== "data")) return null;
  const data = isFields(value) ? value.data : value;
  return hasShape(data, shape) ? ([data].flat(Infinity) as number[]) : null;
}

function hasShape(value: unknown, shape: number[]): boolean {
  const [side, ...rest] = shape;
  if (side === undefined) return typeof value === "number";
  return Array.isArray(value) && value.length === side && value.every((each) => hasShape(each, rest));
}
