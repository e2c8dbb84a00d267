/** Calls of the server that this page comes from. */
import type { Card, Summary } from "./types";

/** Above `/page/`: below whatever path a proxy has put the server. */
export const BASE = new URL("../", document.baseURI);
const PATIENCE = 75; // seconds, the longest that the edge waits
const MAX_ANSWER = 64 << 20; // bytes

/** code: 0 where there was no whole answer. requestId: by which the server's log knows the call. */
export class ServerError extends Error {
  constructor(
    readonly code: number,
    readonly type: string,
    message: string,
    readonly retryAfter = "",
    readonly requestId = "",
  ) {
    super(message);
  }

  /** TorchServe says 400 of a key. */
  get wantsKey(): boolean {
    return this.code === 401 || this.type === "InvalidKeyException";
  }
}

/** url: below BASE. key: "" for none. Throws ServerError for every answer that is not one of 2xx, and where there is none. */
export async function send(url: string, key: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (/[^\x21-\x7e]/.test(key)) throw new ServerError(401, "", "A key has no spaces and no letters beyond ASCII.");
  if (key) headers.set("Authorization", `Bearer ${key}`);
  headers.set("X-Request-Timeout", String(PATIENCE));
  let answer: Response;
  try {
    answer = await fetch(new URL(url, BASE), { ...init, headers, cache: "no-store", credentials: "omit" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ServerError(0, "Unreachable", navigator.onLine ? "The server does not answer." : "This device is offline.");
  }
  if (answer.ok) return answer;
  throw await errorOf(answer);
}

async function errorOf(answer: Response): Promise<ServerError> {
  const text = (await answer.text()).slice(0, 1000);
  const about = [answer.headers.get("Retry-After") ?? "", answer.headers.get("X-Request-Id") ?? ""] as const;
  try {
    const { type, message } = JSON.parse(text) as { type?: unknown; message?: unknown };
    if (typeof message === "string") return new ServerError(answer.status, String(type ?? ""), message, ...about);
  } catch {
    // Not one of the server's own errors: a proxy's page, say.
  }
  return new ServerError(answer.status, "", text || answer.statusText, ...about);
}

export type Listing = { models: Summary[]; grpc: string };

export async function listModels(key: string): Promise<Listing> {
  return (await send("cards", key)).json() as Promise<Listing>;
}

export async function fetchCard(name: string, version: string, key: string): Promise<Card> {
  return (await send(cardPath(name, version), key)).json() as Promise<Card>;
}

export async function fetchSample(card: Card, key: string): Promise<Blob> {
  return (await send(`${cardPath(card.name, card.version)}/sample`, key)).blob();
}

function cardPath(name: string, version: string): string {
  return `cards/${encodeURIComponent(name)}${version ? `/versions/${encodeURIComponent(version)}` : ""}`;
}

/** The whole body of an answer, as JSON or as a file. */
export async function read(answer: Response): Promise<{ value: unknown; text: string } | Blob> {
  const blob = await answer.blob().catch(cutOff);
  if (blob.size > MAX_ANSWER) throw new ServerError(0, "TooLarge", `The answer has ${blob.size} bytes.`);
  if (mediaType(answer) !== "application/json") return blob;
  const text = await blob.text();
  return { value: JSON.parse(text) as unknown, text };
}

/** The lines of an answer as they come, each a JSON object; an error among them is thrown. */
export async function* lines(answer: Response): AsyncGenerator<Record<string, unknown>> {
  if (!answer.body) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read().catch(cutOff);
    const whole = (rest + (value ?? "")).split("\n");
    rest = done ? "" : (whole.pop() ?? "");
    for (const line of whole) if (line) yield piece(line);
    if (done) return;
  }
}

function cutOff(error: unknown): never {
  if (error instanceof DOMException && error.name === "AbortError") throw error;
  throw new ServerError(0, "CutOff", "The connection ended before the whole answer was there.");
}

function piece(line: string): Record<string, unknown> {
  const found = JSON.parse(line) as Record<string, unknown>;
  if (typeof found.code === "number" && found.code >= 400 && typeof found.message === "string")
    throw new ServerError(found.code, String(found.type), found.message);
  return found;
}

export function mediaType(answer: Response): string {
  return (answer.headers.get("Content-Type") ?? "").split(";")[0]!.trim().toLowerCase();
}

