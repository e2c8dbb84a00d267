/** An image with the labels that it is to be given. */

import type { FunctionComponent } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { isFields, isText, listOf } from "../answers/forms";
import { fromBase64 } from "../image/source";
import { countCharacters } from "../text/code_points";
import type { Card, Input } from "../types";
import type { EditorProps } from "./editor";
import { base64 } from "./files";
import { ImageEditor } from "./image";

type Image = Extract<Input, { blob: Blob }>;

export const ZeroShotEditor: FunctionComponent<EditorProps> = ({ card, value, onChange }) => {
  const [image, setImage] = useState<Image | null>(null);
  const [labels, setLabels] = useState(() => card.labels.join("\n"));
  const [template, setTemplate] = useState(() => (isText(card.options.template) ? card.options.template : ""));
  const sent = useRef<Input | null>(null);
  const latest = useRef(0);

  // An input that came from elsewhere, such as the sample.
  useEffect(() => {
    if (value === sent.current) return;
    sent.current = value;
    if (value?.kind === "image") {
      setImage(value);
      void send(value, labels, template);
    } else if (value?.kind === "json" && isFields(value.value)) {
      const { image: data, labels: list, template: text } = value.value;
      const blob = isText(data) ? fromBase64(data) : null;
      setImage(blob && { kind: "image", blob, mediaType: "application/octet-stream", name: "image" });
      if (listOf(isText)(list)) setLabels(list.join("\n"));
      if (isText(text)) setTemplate(text);
    } else setImage(null);
  }, [value]);

  const emit = (input: Input | null): void => {
    sent.current = input;
    onChange(input);
  };
  const send = async (file: Image | null, lines: string, text: string): Promise<void> => {
    const turn = ++latest.current;
    const list = linesOf(lines);
    if (!file || problemsOf(list, text, card).length > 0) return emit(null);
    const body: Record<string, unknown> = { image: await encoded(file.blob) };
    if (turn !== latest.current) return; // another change came meanwhile
    if (list.length > 0) body.labels = list;
    if (text && text !== card.options.template) body.template = text;
    emit({ kind: "json", value: body });
  };
  const problems = problemsOf(linesOf(labels), template, card);
  return (
    <>
      <ImageEditor
        card={card}
        value={image}
        onChange={(input) => {
          const file = input?.kind === "image" ? input : null;
          setImage(file);
          void send(file, labels, template);
        }}
      />
      <label class="field">
        Labels, one per line
        <textarea
          rows={4}
          value={labels}
          aria-invalid={problems.length > 0}
          onInput={(event) => {
            setLabels(event.currentTarget.value);
            void send(image, event.currentTarget.value, template);
          }}
        />
      </label>
      <label class="field">
        Template, with {"{}"} in the label's place
        <input
          value={template}
          onInput={(event) => {
            setTemplate(event.currentTarget.value);
            void send(image, labels, event.currentTarget.value);
          }}
        />
      </label>
      {problems.map((problem) => (
        <p key={problem} class="invalid" role="alert">
          {problem}
        </p>
      ))}
    </>
  );
};

const known = new WeakMap<Blob, Promise<string>>();

function encoded(blob: Blob): Promise<string> {
  let found = known.get(blob);
  if (!found) known.set(blob, (found = base64(blob)));
  return found;
}

const linesOf = (text: string): string[] => text.split("\n").map((line) => line.trim()).filter(Boolean);

function problemsOf(labels: string[], template: string, card: Card): string[] {
  const { max_labels: most, max_label_characters: longest } = card.limits;
  const problems: string[] = [];
  if (labels.length === 0 && card.labels.length === 0) problems.push("Write at least one label.");
  if (typeof most === "number" && labels.length > most) problems.push(`The model takes at most ${most} labels.`);
  if (typeof longest === "number" && [...labels, template].some((text) => countCharacters(text) > longest)) {
    problems.push(`A label and the template may have ${longest} characters.`);
  }
  if (new Set(labels).size < labels.length) problems.push("A label stands there twice.");
  if (template && template.split("{}").length !== 2) problems.push("The template needs {} exactly once.");
  return problems;
}
