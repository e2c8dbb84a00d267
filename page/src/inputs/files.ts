/** Files that are chosen, dropped or pasted. */

import type { Card } from "../types";

/** Of a file whose type the browser does not know: the server recognises formats by their first bytes. */
const UNKNOWN = "application/octet-stream";

export const mediaTypeOf = (file: File): string => file.type || UNKNOWN;

export function typesOf(card: Card, kind: "image" | "audio"): string[] {
  return card.input.content_types.filter((type) => type.startsWith(`${kind}/`));
}

/** Why the server would refuse a file, as far as it can be seen here; null for no reason. */
export function problemOf(file: Blob, card: Card, kind: "image" | "audio"): string | null {
  const most = card.limits.max_bytes;
  if (typeof most === "number" && file.size > most) {
    return `${bytes(file.size)}; the model takes at most ${bytes(most)}.`;
  }
  if (file.size === 0) return "The file is empty.";
  const types = typesOf(card, kind);
  const [family] = file.type.split("/");
  if (family && family !== "application" && family !== kind && family !== "video") {
    return `${file.type}; the model takes ${types.join(", ")}.`;
  }
  return null;
}

export function bytes(size: number): string {
  if (size < 1024) return `${size} bytes`;
  return size < 1024 ** 2 ? `${(size / 1024).toFixed(1)} KiB` : `${(size / 1024 ** 2).toFixed(1)} MiB`;
}

/** The first file of a drop or of the clipboard, of one kind if there is one. */
export function fileIn(data: DataTransfer | null, kind: "image" | "audio"): File | null {
  const files = [...(data?.files ?? [])];
  return files.find((file) => file.type.startsWith(`${kind}/`)) ?? files[0] ?? null;
}

export async function base64(file: Blob): Promise<string> {
  const address = await new Promise<string>((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error ?? Error("the file cannot be read"));
    reader.readAsDataURL(file);
  });
  return address.slice(address.indexOf(",") + 1);
}
