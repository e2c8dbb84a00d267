/** A place for one file: chosen, dropped or pasted. */

import type { ComponentChildren, FunctionComponent } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Card, Input } from "../types";
import { bytes, fileIn, mediaTypeOf, problemOf, typesOf } from "./files";

type Media = Extract<Input, { blob: Blob }>;

type Props = {
  kind: "image" | "audio";
  card: Card;
  value: Media | null;
  onChange: (input: Media | null) => void;
  /** Beside the button that chooses a file. */
  also?: ComponentChildren;
  /** Of the file. */
  children?: ComponentChildren;
};

const NOUN = { image: "image", audio: "recording" };

export const FileEditor: FunctionComponent<Props> = ({ kind, card, value, onChange, also, children }) => {
  const [over, setOver] = useState(false);
  const take = (file: File | null | undefined): void => {
    if (file) onChange({ kind, blob: file, mediaType: mediaTypeOf(file), name: file.name });
  };
  useEffect(() => {
    const paste = (event: ClipboardEvent): void => {
      const file = fileIn(event.clipboardData, kind);
      if (!file) return; // text goes where the cursor is
      event.preventDefault();
      take(file);
    };
    document.addEventListener("paste", paste);
    return () => document.removeEventListener("paste", paste);
  });
  const problem = value && problemOf(value.blob, card, kind);
  const noun = NOUN[kind];
  return (
    <div
      class={`file-editor${over ? " over" : ""}`}
      role="group"
      aria-label={`The ${noun}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        take(fileIn(event.dataTransfer, kind));
      }}
    >
      <div class="row">
        <label class="choose">
          {value ? `Another ${noun}` : `Choose an ${kind === "image" ? "image" : "audio file"}`}
          <input
            type="file"
            accept={[...typesOf(card, kind), ...(kind === "image" ? [".heic", ".avif", ".tiff"] : [])].join(",")}
            onChange={(event) => {
              take(event.currentTarget.files?.[0]);
              event.currentTarget.value = "";
            }}
          />
        </label>
        {also}
        {value && (
          <button type="button" onClick={() => onChange(null)}>
            Remove
          </button>
        )}
      </div>
      {!value && <p class="note">or drop it here, or paste it.</p>}
      {value && (
        <p class="note">
          {value.name}, {value.mediaType}, {bytes(value.blob.size)}
        </p>
      )}
      {problem && (
        <p class="invalid" role="alert">
          {problem}
        </p>
      )}
      {value && children}
    </div>
  );
};
