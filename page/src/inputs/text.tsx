/** A text, and a question with the text that holds its answer. */

import type { FunctionComponent } from "preact";
import { useState } from "preact/hooks";
import { countCharacters } from "../text/code_points";
import { textOf } from "../text/source";
import type { Card } from "../types";
import type { EditorProps } from "./editor";

export const TextEditor: FunctionComponent<EditorProps> = ({ card, value, onChange }) => {
  const text = value ? (textOf(value, card.input.field) ?? "") : "";
  return (
    <TextArea
      label="The text"
      text={text}
      card={card}
      onText={(found) => onChange(found.trim() ? { kind: "text", text: found } : null)}
    />
  );
};

export const QuestionEditor: FunctionComponent<EditorProps> = ({ card, value, onChange }) => {
  const fields = value?.kind === "json" ? (value.value as Record<string, unknown>) : {};
  const context = value ? (textOf(value, "context") ?? "") : "";
  const [typed, setTyped] = useState({ question: String(fields.question ?? ""), context });
  const shown = value ? { question: String(fields.question ?? ""), context } : typed;
  const change = (part: Partial<typeof typed>): void => {
    const next = { ...shown, ...part };
    setTyped(next);
    onChange(next.question.trim() && next.context.trim() ? { kind: "json", value: next } : null);
  };
  return (
    <>
      <label class="field">
        Question
        <input value={shown.question} onInput={(event) => change({ question: event.currentTarget.value })} />
      </label>
      <TextArea label="Context" text={shown.context} card={card} onText={(found) => change({ context: found })} />
    </>
  );
};

type AreaProps = { label: string; text: string; card: Card; onText: (text: string) => void };

const TextArea: FunctionComponent<AreaProps> = ({ label, text, card, onText }) => {
  // A text of spaces is not one, but stays where it is typed.
  const [typed, setTyped] = useState(text);
  const shown = text || (typed.trim() ? "" : typed);
  const most = card.limits.max_characters;
  const characters = countCharacters(shown);
  const over = typeof most === "number" && characters > most;
  return (
    <label class="field">
      {label}
      <textarea
        rows={5}
        dir="auto"
        value={shown}
        aria-invalid={over}
        onInput={(event) => {
          setTyped(event.currentTarget.value);
          onText(event.currentTarget.value);
        }}
      />
      <span class={over ? "invalid" : "note"}>
        {characters.toLocaleString("en")}
        {typeof most === "number" && ` of ${most.toLocaleString("en")}`} characters
      </span>
    </label>
  );
};
