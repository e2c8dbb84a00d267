/** Any JSON value, opened level by level, so that 100,000 numbers cost no more than those that are looked at. */

import type { ComponentChildren, FunctionComponent } from "preact";
import { useState } from "preact/hooks";
import { count } from "./numbers";

const STEP = 100;
const LONG = 400;
// Levels that are open from the start, if they have no more than this many entries.
const OPEN_LEVELS = 2;
const OPEN_ENTRIES = 20;

type Props = { value: unknown; name?: string; level?: number };

export const JsonTree: FunctionComponent<Props> = ({ value, name, level = 0 }) => {
  const title = name === undefined ? null : <span class="json-name">{name}: </span>;
  if (typeof value !== "object" || value === null) {
    return (
      <div class="json-leaf">
        {title}
        <Leaf value={value} />
      </div>
    );
  }
  return <Branch title={title} value={value} level={level} />;
};

type BranchProps = { title: ComponentChildren; value: object; level: number };

const Branch: FunctionComponent<BranchProps> = ({ title, value, level }) => {
  const list = Array.isArray(value);
  const entries = list ? value.length : Object.keys(value).length;
  const [open, setOpen] = useState(level < OPEN_LEVELS && entries <= OPEN_ENTRIES);
  const [shown, setShown] = useState(STEP);
  const summary = list ? `[${count(entries)}]` : `{${count(entries)}}`;
  return (
    <details class="json-branch" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        {title}
        <span class="json-size">{summary}</span>
      </summary>
      {open && (
        <div class="json-entries">
          {Object.entries(list ? value.slice(0, shown) : value)
            .slice(0, shown)
            .map(([key, entry]) => (
              <JsonTree key={key} name={key} value={entry} level={level + 1} />
            ))}
          {entries > shown && (
            <button type="button" class="more" onClick={() => setShown(shown + STEP)}>
              {count(shown)} of {count(entries)} shown; show {Math.min(STEP, entries - shown)} more
            </button>
          )}
        </div>
      )}
    </details>
  );
};

const Leaf: FunctionComponent<{ value: unknown }> = ({ value }) => {
  const [whole, setWhole] = useState(false);
  if (typeof value !== "string") return <span class={`json-${typeof value}`}>{JSON.stringify(value)}</span>;
  if (whole || value.length <= LONG) return <span class="json-string">{JSON.stringify(value)}</span>;
  return (
    <>
      <span class="json-string">{JSON.stringify(value.slice(0, LONG))}</span>
      <button type="button" class="more" onClick={() => setWhole(true)}>
        show all {count(value.length)} characters
      </button>
    </>
  );
};
