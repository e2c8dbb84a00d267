/** Which model the page shows, by the part of its address behind #: `#/model/version`. */
import { useEffect, useState } from "preact/hooks";

export type Place = { name: string; version: string };

export function placeOf(hash: string): Place {
  const [name = "", version = ""] = hash.replace(/^#\/?/, "").split("/").map(decoded);
  return { name, version };
}

export function hashOf(name: string, version = ""): string {
  return `#/${[name, version].filter(Boolean).map(encodeURIComponent).join("/")}`;
}

export function usePlace(): Place {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const follow = () => setHash(location.hash);
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return placeOf(hash);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
