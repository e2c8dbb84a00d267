import type { FunctionComponent } from "preact";

export type Timing = {
  /** Milliseconds from sending to the last byte, and to the first piece of a stream. */
  whole: number;
  first: number | null;
  version: string;
  requestId: string;
  /** Of the trace that the server records; "" for none. */
  trace: string;
  /** Stage → milliseconds, of the request's batch. */
  stages: [string, number][];
};

export function timingOf(answer: Response, version: string, whole: number, first: number | null): Timing {
  return {
    whole,
    first,
    version: answer.headers.get("Model-Version") ?? version,
    requestId: answer.headers.get("X-Request-Id") ?? "",
    trace: /^00-([0-9a-f]{32})-[0-9a-f]{16}-01$/.exec(answer.headers.get("traceresponse") ?? "")?.[1] ?? "",
    stages: stagesOf(answer.headers.get("Server-Timing") ?? ""),
  };
}

/** Of a Server-Timing header: `decode;dur=1.2, inference;dur=3.4`. */
export function stagesOf(header: string): [string, number][] {
  return header.split(",").flatMap((part) => {
    const found = /^\s*([\w-]+)\s*;\s*dur=([\d.]+)\s*$/.exec(part);
    return found ? [[found[1]!, Number(found[2])] as [string, number]] : [];
  });
}

const milliseconds = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;

export const TimingRow: FunctionComponent<{ timing: Timing }> = ({ timing }) => (
  <dl class="timing">
    <div>
      <dt>version</dt>
      <dd>{timing.version}</dd>
    </div>
    <div>
      <dt>answered after</dt>
      <dd>{milliseconds(timing.whole)}</dd>
    </div>
    {timing.first !== null && (
      <div>
        <dt>first piece</dt>
        <dd>{milliseconds(timing.first)}</dd>
      </div>
    )}
    {timing.stages.map(([name, value]) => (
      <div key={name}>
        <dt>{name}</dt>
        <dd>{milliseconds(value)}</dd>
      </div>
    ))}
    {timing.requestId && (
      <div>
        <dt>request</dt>
        <dd>{timing.requestId}</dd>
      </div>
    )}
    {timing.trace && (
      <div>
        <dt>trace</dt>
        <dd>{timing.trace}</dd>
      </div>
    )}
  </dl>
);
