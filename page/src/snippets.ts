/** A call as commands and programs that make it; the key stays where its owner keeps it. */
import { BASE } from "./server";
import { type Body, type Call, isObject } from "./request";
import type { Card } from "./types";

export const LANGUAGES = ["curl", "Python", "JavaScript", "grpcurl"] as const;
export type Language = (typeof LANGUAGES)[number];

const MAX_INLINE = 2000; // characters of an input that stand in a command
const SERVICE = "org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions";

/** grpc: the address of TorchServe's own port; behind the edge it is that of the page. */
export function snippetOf(language: Language, call: Call, card: Card, version: string, grpc: string): string {
  switch (language) {
    case "curl":
      return curl(call);
    case "Python":
      return python(whole(call), card, version, call !== whole(call));
    case "JavaScript":
      return javascript(call);
    case "grpcurl":
      return grpcurl(whole(call), card, version, grpc); // pieces have a method of their own
  }
}

/** A call without the parameter that asks for pieces; the same one where there is none. */
function whole(call: Call): Call {
  const { body } = call;
  if (body.kind === "form" && "stream" in body.fields) {
    const { stream: _, ...fields } = body.fields;
    const { fields: __, ...file } = body;
    return { ...call, body: Object.keys(fields).length ? { ...body, fields } : { ...file, kind: "file" } };
  }
  if (body.kind !== "json" || !isObject(body.value) || !("stream" in body.value)) return call;
  const { stream: _, ...value } = body.value;
  return { ...call, body: { kind: "json", value } };
}

const url = (call: Call) => new URL(call.path, BASE).href;

function curl(call: Call): string {
  const { body } = call;
  const parts = [`curl ${shell(url(call))}`, '-H "Authorization: Bearer $KEY"'];
  if (call.accept) parts.push(`-H ${shell(`Accept: ${call.accept}`)}`);
  switch (body.kind) {
    case "form":
      for (const [name, value] of Object.entries(body.fields)) parts.push(`--form-string ${shell(`${name}=${value}`)}`);
      parts.push(`-F ${shell(`data=@"${body.name.replace(/[\\"]/g, "\\$&")}";type=${body.mediaType}`)}`);
      break;
    case "file":
      parts.push(`-H ${shell(`Content-Type: ${body.mediaType}`)}`, `--data-binary ${shell(`@${body.name}`)}`);
      break;
    default: {
      const type = body.kind === "text" ? "text/plain; charset=utf-8" : "application/json";
      const text = textOf(body);
      // A text that begins with @ would be the name of a file.
      const data = text.length > MAX_INLINE ? `--data-binary @${fileOf(body)}` : `--data-raw ${shell(text)}`;
      parts.push(`-H ${shell(`Content-Type: ${type}`)}`, data);
    }
  }
  return parts.join(" \\\n  ");
}

function python(call: Call, card: Card, version: string, pieces: boolean): string {
  const { body } = call;
  const asked = [literal(card.name)];
  if (body.kind === "file" || body.kind === "form") asked.push(`Path(${literal(body.name)})`);
  else if (textOf(body).length > MAX_INLINE) asked.push(`Path(${literal(fileOf(body))})`);
  else asked.push(literal(body.kind === "text" ? body.text : body.value));
  if (version) asked.push(`version=${literal(version)}`);
  if (body.kind === "form") asked.push(`parameters=${literal(body.fields)}`);
  if (call.accept) asked.push(`accept=${literal(call.accept)}`);
  const verb = call.path.startsWith("explanations/") ? "explain" : "predict";
  const written = call.accept.startsWith("image/")
    ? '    Path("answer.png").write_bytes(answer.body)'
    : "    print(answer.body.decode())";
  const lines = pieces
    ? [`    for piece in client.stream(${asked.join(", ")}):`, '        print(piece.json()["text"], end="", flush=True)']
    : [`    answer = client.${verb}(${asked.join(", ")})`, written];
  return ["from pathlib import Path", "", "from client import RestClient", "", "with RestClient() as client:", ...lines].join("\n");
}

function javascript(call: Call): string {
  const { body } = call;
  const headers = ["Authorization: `Bearer ${key}`"];
  if (call.accept) headers.push(`Accept: ${JSON.stringify(call.accept)}`);
  const before: string[] = [];
  let sent = "file";
  switch (body.kind) {
    case "form":
      before.push("const form = new FormData();");
      for (const [name, value] of Object.entries(body.fields))
        before.push(`form.append(${JSON.stringify(name)}, ${JSON.stringify(value)});`);
      before.push(`form.append("data", file); // ${body.mediaType}`);
      sent = "form";
      break;
    case "file":
      headers.push(`"Content-Type": ${JSON.stringify(body.mediaType)}`);
      break;
    default:
      headers.push(`"Content-Type": ${JSON.stringify(body.kind === "text" ? "text/plain" : "application/json")}`);
      if (textOf(body).length <= MAX_INLINE)
        sent = body.kind === "text" ? JSON.stringify(body.text) : `JSON.stringify(${JSON.stringify(body.value)})`;
  }
  return [
    ...before,
    `const answer = await fetch(${JSON.stringify(url(call))}, {`,
    '  method: "POST",',
    `  headers: { ${headers.join(", ")} },`,
    `  body: ${sent},`,
    "});",
    `console.log(await answer.${call.accept.startsWith("image/") ? "blob" : call === whole(call) ? "json" : "text"}());`,
  ].join("\n");
}

function grpcurl(call: Call, card: Card, version: string, grpc: string): string {
  const { body } = call;
  const explains = call.path.startsWith("explanations/");
  const input: Record<string, string> = {};
  let data: string;
  switch (body.kind) {
    case "text":
    case "json": {
      const text = textOf(body);
      data = text.length > MAX_INLINE ? `'"$(base64 -w0 ${fileOf(body)})"'` : base64(text);
      input["content-type"] = base64(body.kind === "text" ? "text/plain" : "application/json");
      break;
    }
    default:
      data = `'"$(base64 -w0 ${shell(body.name)})"'`;
      input["content-type"] = base64(body.mediaType);
      if (body.kind === "form") for (const [name, value] of Object.entries(body.fields)) input[name] = base64(value);
  }
  if (call.accept) input.accept = base64(call.accept);
  const message = {
    input: { body: "BODY", ...input }, // before whatever else could be "BODY"
    model_name: explains ? `${card.name}.explain` : card.name,
    ...(version ? { model_version: version } : {}),
  };
  const text = shell(JSON.stringify(message)).replace('"BODY"', () => `"${data}"`);
  const secure = BASE.protocol === "https:";
  return [
    `grpcurl${secure ? "" : " -plaintext"} -H "Authorization: Bearer $KEY"`,
    "-import-path client/protos -proto inference.proto -d @",
    `${secure ? BASE.host : grpc} ${SERVICE} <<<${text}`,
  ].join(" \\\n  ");
}

function textOf(body: Body): string {
  return body.kind === "text" ? body.text : body.kind === "json" ? JSON.stringify(body.value) : "";
}

const fileOf = (body: Body) => (body.kind === "text" ? "input.txt" : "input.json");

/** In single quotes, for a POSIX shell. */
export function shell(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** A JSON value as Python writes it. */
function literal(value: unknown): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object")
    return `{${Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${literal(each)}`).join(", ")}}`;
  return JSON.stringify(value);
}

function base64(text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}
