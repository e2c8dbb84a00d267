/** An input and parameters as the body of a request. */
import type { Card, Input } from "./types";

export type Value = string | number | boolean | string[];
export type Fields = Record<string, Value>;

export type Body =
  | { kind: "file"; blob: Blob; mediaType: string; name: string }
  | { kind: "form"; blob: Blob; mediaType: string; name: string; fields: Record<string, string> }
  | { kind: "text"; text: string }
  | { kind: "json"; value: unknown };

/** path: below the server's address. accept: "" where the server chooses. */
export type Call = { path: string; accept: string; body: Body };

const OCTETS = "application/octet-stream";

/** verb: `predictions` or `explanations`. version: "" for the one that the server chooses. */
export function callOf(
  verb: "predictions" | "explanations",
  card: Card,
  version: string,
  input: Input,
  fields: Fields,
  accept = "",
): Call {
  const path = [verb, card.name, version].filter(Boolean).map(encodeURIComponent).join("/");
  return { path, accept, body: bodyOf(card, input, fields) };
}

function bodyOf(card: Card, input: Input, fields: Fields): Body {
  const alone = Object.keys(fields).length === 0;
  switch (input.kind) {
    case "text":
      return alone ? input : { kind: "json", value: { [card.input.field]: input.text, ...fields } };
    case "json":
      if (alone) return input;
      return { kind: "json", value: isObject(input.value) ? { ...input.value, ...fields } : { [card.input.field]: input.value, ...fields } };
    default: {
      // Without parameters such as `codecs`, which a form would lose.
      const file = { blob: input.blob, mediaType: input.mediaType.split(";")[0]!.trim() || OCTETS, name: input.name };
      return alone ? { kind: "file", ...file } : { kind: "form", ...file, fields: texts(fields) };
    }
  }
}

function texts(fields: Fields): Record<string, string> {
  const text = (value: Value) => (Array.isArray(value) ? JSON.stringify(value) : String(value));
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, text(value)]));
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function init(call: Call, signal: AbortSignal): RequestInit {
  const headers: Record<string, string> = call.accept ? { Accept: call.accept } : {};
  const made = { method: "POST", headers, signal };
  const { body } = call;
  switch (body.kind) {
    case "text":
      return { ...made, headers: { ...headers, "Content-Type": "text/plain; charset=utf-8" }, body: body.text };
    case "json":
      return { ...made, headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body.value) };
    case "file":
      return { ...made, headers: { ...headers, "Content-Type": body.mediaType }, body: body.blob };
    case "form": {
      const form = new FormData();
      for (const [name, value] of Object.entries(body.fields)) form.append(name, value);
      form.append("data", new File([body.blob], "input", { type: body.mediaType }));
      return { ...made, body: form };
    }
  }
}
