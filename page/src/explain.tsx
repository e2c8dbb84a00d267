import type { FunctionComponent } from "preact";
import { useState } from "preact/hooks";
import { Explanation } from "./answers";
import { CopyAs } from "./copy-as";
import { Buttons, Drawn, mediaTypeOf } from "./form";
import { useCall } from "./outcome";
import { Parameters } from "./parameters";
import { Problem } from "./problem";
import { RawJson } from "./raw";
import { type Call, callOf, type Fields } from "./request";
import { TimingRow } from "./timing";
import type { Card, Explained, Input } from "./types";

type Props = {
  offer: Explained;
  card: Card;
  version: string;
  input: Input | null;
  secret: string;
  grpc: string;
  onKeyRefused: () => void;
};

/** Why the model answers so: a heat map that the server draws, or the numbers. */
export const Explain: FunctionComponent<Props> = ({ offer, card, version, input, secret, grpc, onKeyRefused }) => {
  const [fields, setFields] = useState<Fields>({});
  const [method, setMethod] = useState(offer.methods[0] ?? "");
  const [drawn, setDrawn] = useState(false);
  const [asked, setAsked] = useState<Call | null>(null);
  const { outcome, ask, cancel } = useCall(secret, card.version, onKeyRefused);
  const { method: _, ...others } = offer.parameters;
  const running = outcome.kind === "running";

  const submit = () => {
    if (!input) return;
    const call = callOf("explanations", card, version, input, { ...fields, method }, mediaTypeOf(drawn));
    setAsked(call);
    ask(call, input);
  };
  return (
    <section aria-label="Explanation">
      <h2>Explanation</h2>
      <form
        aria-label={`Explain an answer of ${card.name}`}
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <label>
          Method{" "}
          <select value={method} onChange={(event) => setMethod(event.currentTarget.value)}>
            {offer.methods.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </label>
        <Parameters legend="More" id="explain" parameters={others} values={fields} onChange={setFields} />
        <Drawn accept={offer.accept} checked={drawn} onChange={setDrawn} />
        <Buttons label="Explain" ready={input !== null} running={running} onCancel={cancel} />
      </form>
      <div aria-busy={running} class="result">
        <p class="muted" role="status">
          {running && "Explaining…"}
          {(outcome.kind === "json" || outcome.kind === "file") && "Explained."}
        </p>
        {outcome.kind === "failed" && <Problem error={outcome.error} />}
        {(outcome.kind === "json" || outcome.kind === "file") && (
          <Explanation explanation={outcome.value} input={outcome.input} card={card} />
        )}
        {outcome.kind === "json" && (
          <details>
            <summary>JSON</summary>
            <RawJson label="JSON of the explanation" text={outcome.text} />
          </details>
        )}
        {(outcome.kind === "json" || outcome.kind === "file") && <TimingRow timing={outcome.timing} />}
        {asked && outcome.kind !== "nothing" && <CopyAs call={asked} card={card} version={version} grpc={grpc} />}
      </div>
    </section>
  );
};
