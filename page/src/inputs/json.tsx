/** The whole body of a request, as JSON. */

import type { FunctionComponent } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Card, Input } from "../types";
import type { EditorProps } from "./editor";
import { bytes } from "./files";

// Of a text that is shown: a text area with base64 of a photograph would make the page slow.
const MOST_SHOWN = 200_000;

export const JsonEditor: FunctionComponent<EditorProps> = ({ card, value, onChange }) => {
  const [text, setText] = useState(() => written(value));
  const sent = useRef<Input | null>(value);
  useEffect(() => {
    if (value === sent.current || value?.kind !== "json") return;
    sent.current = value;
    setText(written(value));
  }, [value]);
  const problem = problemOf(text, card);
  const change = (next: string): void => {
    setText(next);
    sent.current = problemOf(next, card) || !next.trim() ? null : { kind: "json", value: JSON.parse(next) };
    onChange(sent.current);
  };
  if (text.length > MOST_SHOWN) {
    return (
      <div class="row">
        <p class="note">JSON of {bytes(text.length)}, too long to be edited here.</p>
        <button type="button" onClick={() => change("")}>
          Remove
        </button>
      </div>
    );
  }
  return (
    <>
      <label class="field">
        JSON
        <textarea
          class="code"
          rows={10}
          spellcheck={false}
          autocapitalize="off"
          value={text}
          placeholder={`{"${card.input.field}": …}`}
          aria-invalid={problem !== null}
          onInput={(event) => change(event.currentTarget.value)}
        />
      </label>
      <div class="row">
        <label class="choose">
          Choose a JSON file
          <input
            type="file"
            accept=".json,application/json"
            onChange={(event) => {
              void event.currentTarget.files?.[0]?.text().then(change);
              event.currentTarget.value = "";
            }}
          />
        </label>
        <button type="button" disabled={problem !== null || !text} onClick={() => change(pretty(JSON.parse(text)))}>
          Format
        </button>
        <span class="note">{bytes(new Blob([text]).size)}</span>
      </div>
      {problem && (
        <p class="invalid" role="alert">
          {problem}
        </p>
      )}
    </>
  );
};

const pretty = (value: unknown): string => JSON.stringify(value, null, 2) ?? "";

function written(value: Input | null): string {
  return value?.kind === "json" ? pretty(value.value) : "";
}

function problemOf(text: string, card: Card): string | null {
  if (!text.trim()) return null;
  const most = card.limits.max_bytes;
  if (typeof most === "number" && text.length > most) return `More than the ${bytes(most)} that the model takes.`;
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
