import type { FunctionComponent } from "preact";
import type { Card } from "./types";

const MAX_LABELS = 100;
const MAX_ENTRIES = 100;

/** What the model card says, beside what the form shows of it. */
export const CardDetails: FunctionComponent<{ card: Card }> = ({ card }) => (
  <details class="card">
    <summary>Model card</summary>
    <dl>
      {card.input.content_types.length > 0 && <Entry name="takes" text={card.input.content_types.join(", ")} />}
      {card.labels.length > 0 && (
        <Entry
          name={`${card.labels.length} labels`}
          text={card.labels.slice(0, MAX_LABELS).join(", ") + (card.labels.length > MAX_LABELS ? ", …" : "")}
        />
      )}
    </dl>
    <Table name="Limits" values={card.limits} />
    <Table name="Options" values={card.options} />
    <Table name="Metrics" values={card.metrics} />
  </details>
);

const Entry: FunctionComponent<{ name: string; text: string }> = ({ name, text }) => (
  <div>
    <dt>{name}</dt>
    <dd>{text}</dd>
  </div>
);

const Table: FunctionComponent<{ name: string; values: Record<string, unknown> }> = ({ name, values }) => {
  const entries = Object.entries(values).slice(0, MAX_ENTRIES);
  if (entries.length === 0) return null;
  return (
    <table>
      <caption>{name}</caption>
      <tbody>
        {entries.map(([key, value]) => (
          <tr key={key}>
            <th scope="row">{key}</th>
            <td>{shown(value)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
};

function shown(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
