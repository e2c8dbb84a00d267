import type { FunctionComponent } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { CardDetails } from "./card";
import { Explain } from "./explain";
import { Buttons, Checkbox, Drawn, mediaTypeOf } from "./form";
import { InputEditor } from "./inputs";
import { Result } from "./result";
import { useCall } from "./outcome";
import { Parameters } from "./parameters";
import { hashOf } from "./place";
import { type Call, callOf, type Fields } from "./request";
import { sampleOf } from "./sample";
import { ServerError } from "./server";
import type { Card, Input, Parameter } from "./types";

// Of the form itself, of the editors of inputs, and of samples that come as numbers.
const ELSEWHERE = ["stream", "question", "sample_rate"];
const OF_EDITORS: Record<string, string[]> = { "zero-shot-image-classification": ["labels", "template"] };
// Without which there is nothing to draw.
const DEFAULTS: Record<string, Fields> = { "depth-estimation": { map: true } };

type Props = {
  card: Card;
  /** "" where the server chooses one. */
  version: string;
  secret: string;
  grpc: string;
  onKeyRefused: () => void;
};

export const Model: FunctionComponent<Props> = ({ card, version, secret, grpc, onKeyRefused }) => {
  const [input, setInput] = useState<Input | null>(null);
  const [fields, setFields] = useState<Fields>(DEFAULTS[card.task] ?? {});
  const [live, setLive] = useState("stream" in card.parameters);
  const [drawn, setDrawn] = useState(false);
  const [asked, setAsked] = useState<Call | null>(null);
  const { outcome, ask, fail, cancel } = useCall(secret, card.version, onKeyRefused);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);

  const submit = () => {
    if (!input) return;
    const sent = live ? { ...fields, stream: true } : fields;
    const call = callOf("predictions", card, version, input, sent, mediaTypeOf(drawn));
    setAsked(call);
    const size = "blob" in input ? input.blob.size : 0;
    const most = Number(card.limits.max_bytes ?? Infinity);
    if (size > most) fail(new ServerError(413, "TooLarge", `The input has ${size} bytes; this model takes ${most}.`));
    else ask(call, input);
  };

  const takeSample = () =>
    sampleOf(card, secret).then(
      ({ input: found, fields: more }) => {
        setInput(found);
        setFields({ ...DEFAULTS[card.task], ...more });
      },
      (error: unknown) => {
        if (!(error instanceof ServerError)) throw error;
        fail(error);
        if (error.wantsKey) onKeyRefused();
      },
    );

  const elsewhere = [...ELSEWHERE, ...(OF_EDITORS[card.task] ?? [])];
  const settable = Object.entries(card.parameters).filter(([name]) => !elsewhere.includes(name));
  const running = outcome.kind === "running";
  return (
    <article>
      <h1 ref={heading} tabIndex={-1}>
        {card.name}
      </h1>
      <p class="muted">
        {card.task || "a handler of its own"} · version {card.version}
        {!card.ready && " · not ready"}
      </p>
      {card.versions.length > 1 && <Versions card={card} version={version} />}
      <CardDetails card={card} />
      <form
        aria-label={`Ask ${card.name}`}
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
        onKeyDown={(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && submit()}
      >
        <h2>Input</h2>
        {card.sample && (
          <button type="button" onClick={takeSample}>
            Use the sample
          </button>
        )}
        <InputEditor task={card.task} card={card} value={input} onChange={setInput} />
        <Parameters
          legend="Parameters"
          id="predict"
          parameters={Object.fromEntries(settable) as Record<string, Parameter>}
          values={fields}
          onChange={setFields}
        />
        {"stream" in card.parameters && (
          <Checkbox checked={live} onChange={setLive}>
            show the text as it is written
          </Checkbox>
        )}
        <Drawn accept={card.input.accept} checked={drawn} onChange={setDrawn} />
        <Buttons label="Ask" main ready={input !== null} running={running} onCancel={cancel} />
      </form>
      <Result outcome={outcome} call={asked} card={card} version={version} grpc={grpc} />
      {card.explain && (
        <Explain
          offer={card.explain}
          card={card}
          version={version}
          input={input}
          secret={secret}
          grpc={grpc}
          onKeyRefused={onKeyRefused}
        />
      )}
    </article>
  );
};

const Versions: FunctionComponent<{ card: Card; version: string }> = ({ card, version }) => (
  <label>
    Version{" "}
    <select value={version} onChange={(event) => (location.hash = hashOf(card.name, event.currentTarget.value))}>
      <option value="">as the server chooses</option>
      {card.versions.map((each) => (
        <option key={each}>{each}</option>
      ))}
    </select>
  </label>
);
