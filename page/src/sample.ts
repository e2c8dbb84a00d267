/** The input to try that a model's archive carries. */
import { type Fields, isObject, type Value } from "./request";
import { fetchSample } from "./server";
import type { Card, Input } from "./types";

export async function sampleOf(card: Card, secret: string): Promise<{ input: Input; fields: Fields }> {
  const blob = await fetchSample(card, secret);
  const type = card.sample?.media_type ?? "";
  if (type === "text/plain") return { input: { kind: "text", text: await blob.text() }, fields: {} };
  if (type === "application/json") return split(card, JSON.parse(await blob.text()) as unknown);
  const kind = type.startsWith("audio/") ? "audio" : "image";
  return { input: { kind, blob, mediaType: type, name: card.sample?.name ?? "sample" }, fields: {} };
}

/** A text with parameters beside it goes into the fields of both; whatever else the JSON is, it is sent as it is. */
function split(card: Card, value: unknown): { input: Input; fields: Fields } {
  const whole = { input: { kind: "json" as const, value }, fields: {} };
  if (!isObject(value)) return whole;
  const { [card.input.field]: text, ...others } = value;
  const settable = Object.entries(others).every(
    ([name, each]) => name in card.parameters && name !== "question" && ["string", "number", "boolean"].includes(typeof each),
  );
  if (typeof text !== "string" || !card.input.content_types.includes("text/plain") || !settable) return whole;
  return { input: { kind: "text", text }, fields: others as Record<string, Value> };
}
