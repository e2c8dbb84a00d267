import type { Card, Input } from "../types";

/** Of an input of one kind. value: null until there is one that can be sent. */
export type EditorProps = { card: Card; value: Input | null; onChange: (input: Input | null) => void };
