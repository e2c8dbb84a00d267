/** A parameter as JSON Schema, made by the server of the model card's text about it. */
export type Parameter = {
  type?: "integer" | "number" | "boolean" | "string";
  /** Of a text or a list of texts: `[{type: "string"}, {type: "array", items: {type: "string"}}]`. */
  anyOf?: unknown[];
  minimum?: number;
  maximum?: number;
  description: string;
};

export type Observation = {
  shape: number[];
  low?: number | (number | null)[] | null;
  high?: number | (number | null)[] | null;
};

/** A model in the list: `GET /cards`. */
export type Summary = {
  name: string;
  version: string;
  versions: string[];
  task: string;
  ready: boolean;
  /** How many labels it has. */
  classes: number;
};

/** How a model explains its answers; accept: media types of an explanation. */
export type Explained = { methods: string[]; accept: string[]; parameters: Record<string, Parameter> };

/** What the server says of a version of a model: `GET /cards/{model}`. */
export type Card = {
  name: string;
  version: string;
  versions: string[];
  /** "" for an archive without a model card, which only its own handler knows. */
  task: string;
  ready: boolean;
  labels: string[];
  input: {
    content_types: string[];
    /** The name of the input in JSON or in a form: `image`, `audio`, `text`, `context`, `data`. */
    field: string;
    /** Media types of its answers, the default first. */
    accept: string[];
  };
  parameters: Record<string, Parameter>;
  answer: Record<string, unknown>;
  answer_schema: Record<string, unknown>;
  preprocessing: Record<string, unknown> & { observation?: Observation; sample_rate?: number };
  limits: Record<string, unknown>;
  options: Record<string, unknown>;
  metrics: Record<string, unknown>;
  /** null where its explanations are not served. */
  explain: Explained | null;
  /** An input to try, which `GET /cards/{model}/sample` gives. */
  sample: { name: string; media_type: string } | null;
};

export type Input =
  | { kind: "image" | "audio"; blob: Blob; mediaType: string; name: string }
  | { kind: "text"; text: string }
  /** The whole request body, such as `{"data": [...]}` or `{"question": "...", "context": "..."}`. */
  | { kind: "json"; value: unknown };
