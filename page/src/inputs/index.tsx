/** The input of a model, in the ways that its task takes one. */

import type { FunctionComponent } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { isFields, isText } from "../answers/forms";
import type { Card, Input } from "../types";
import type { EditorProps } from "./editor";
import { ImageEditor } from "./image";
import "./inputs.css";
import { JsonEditor } from "./json";
import { hasFields, ObservationEditor } from "./observation";
import { SoundEditor } from "./sound";
import { QuestionEditor, TextEditor } from "./text";
import { ZeroShotEditor } from "./zero_shot";

type Props = { task: string; card: Card; value: Input | null; onChange: (input: Input | null) => void };

/** fits: whether an input that came from elsewhere, such as the sample, can be edited in this way without a loss. */
type Way = { name: string; Editor: FunctionComponent<EditorProps>; fits: (value: Input, card: Card) => boolean };

const JSON_WAY: Way = { name: "JSON", Editor: JsonEditor, fits: (value) => value.kind === "json" };
const IMAGE: Way = { name: "Image", Editor: ImageEditor, fits: (value) => value.kind === "image" };
const SOUND: Way = { name: "Sound", Editor: SoundEditor, fits: (value) => value.kind === "audio" };
const TEXT: Way = {
  name: "Text",
  Editor: TextEditor,
  fits: (value, card) => value.kind === "text" || isOnly(card.input.field)(value, card),
};
const FIELDS: Way = { name: "Numbers", Editor: ObservationEditor, fits: (value, card) => hasFields(card, value) };
const QUESTION: Way = { name: "Question", Editor: QuestionEditor, fits: isOnly("question", "context") };
const ZERO_SHOT: Way = {
  name: "Image",
  Editor: ZeroShotEditor,
  fits: (value, card) => value.kind === "image" || isOnly("image", "labels", "template")(value, card),
};

export const InputEditor: FunctionComponent<Props> = ({ task, card, value, onChange }) => {
  const ways = waysOf(task, card);
  const [name, setName] = useState(() => wayFor(value, ways, card, ways[0]!.name));
  const sent = useRef<Input | null>(value);
  useEffect(() => {
    if (value !== null && value !== sent.current) setName((now) => wayFor(value, ways, card, now));
    sent.current = value;
  }, [value]);
  const way = ways.find((each) => each.name === name) ?? ways[0]!;
  const change = (input: Input | null): void => {
    sent.current = input;
    onChange(input);
  };
  return (
    <div class="input-editor">
      {ways.length > 1 && (
        <div class="ways" role="radiogroup" aria-label="How to give the input">
          {ways.map((each) => (
            <label key={each.name}>
              <input
                type="radio"
                name={`way-${card.name}`}
                checked={each === way}
                onChange={() => {
                  setName(each.name);
                  if (value && !each.fits(value, card)) change(null);
                }}
              />
              {each.name}
            </label>
          ))}
        </div>
      )}
      <way.Editor key={`${card.name}/${way.name}`} card={card} value={value} onChange={change} />
    </div>
  );
};

function waysOf(task: string, card: Card): Way[] {
  if (task === "zero-shot-image-classification") return [ZERO_SHOT, JSON_WAY];
  if (task === "question-answering") return [QUESTION, JSON_WAY];
  const types = card.input.content_types;
  const ways: Way[] = [];
  if (hasFields(card, null)) ways.push(FIELDS);
  if (types.some((type) => type.startsWith("image/"))) ways.push(IMAGE);
  if (types.includes("text/plain")) ways.push(TEXT);
  if (types.some((type) => type.startsWith("audio/"))) ways.push(SOUND);
  if (types.includes("application/json") || ways.length === 0) ways.push(JSON_WAY);
  return ways;
}

/** The way in use where it can show the input, else the first that can. */
function wayFor(value: Input | null, ways: Way[], card: Card, now: string): string {
  if (value === null) return now;
  const fitting = ways.filter((way) => way.fits(value, card));
  return (fitting.find((way) => way.name === now) ?? fitting[0])?.name ?? now;
}

/** A JSON object with these keys, the first of which holds text, and no others. */
function isOnly(...keys: string[]): Way["fits"] {
  return (input) => {
    if (input.kind !== "json" || !isFields(input.value)) return false;
    return isText(input.value[keys[0]!]) && Object.keys(input.value).every((key) => keys.includes(key));
  };
}
