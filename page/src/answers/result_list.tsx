/** A list beside a drawing: one entry is active in both. */

import type { FunctionComponent } from "preact";
import { useEffect, useRef } from "preact/hooks";

export type Entry = { label: string; detail: string; colour?: string };

type Props = {
  label: string;
  entries: Entry[];
  active: number | null;
  onActive: (index: number | null) => void;
  onChoose?: (index: number) => void;
};

let lists = 0;

export const ResultList: FunctionComponent<Props> = ({ label, entries, active, onActive, onChoose }) => {
  const id = useRef("");
  id.current ||= `results-${++lists}`;
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    if (active === null || !list.current) return;
    const entry = list.current.children[active] as HTMLElement | undefined;
    if (!entry) return;
    // The list alone: scrollIntoView would move the page as well.
    const { offsetTop: top, offsetHeight: height } = entry;
    const { scrollTop, clientHeight } = list.current;
    if (top < scrollTop) list.current.scrollTop = top;
    else if (top + height > scrollTop + clientHeight) list.current.scrollTop = top + height - clientHeight;
  }, [active]);
  const move = (event: KeyboardEvent): void => {
    const last = entries.length - 1;
    const next = {
      ArrowDown: active === null ? 0 : Math.min(active + 1, last),
      ArrowUp: active === null ? last : Math.max(active - 1, 0),
      Home: 0,
      End: last,
    }[event.key];
    if (next !== undefined) onActive(next);
    else if (event.key === "Escape") onActive(null);
    else if ((event.key === "Enter" || event.key === " ") && active !== null) onChoose?.(active);
    else return;
    event.preventDefault();
  };
  return (
    <ul
      ref={list}
      class="results"
      role="listbox"
      tabIndex={0}
      aria-label={label}
      aria-activedescendant={active === null ? undefined : `${id.current}-${active}`}
      onKeyDown={move}
      onPointerLeave={() => onActive(null)}
    >
      {entries.map((entry, index) => (
        <li
          key={index}
          id={`${id.current}-${index}`}
          role="option"
          aria-selected={index === active}
          onPointerEnter={() => onActive(index)}
          onClick={() => (onActive(index), onChoose?.(index))}
        >
          {entry.colour && <span class="swatch" style={{ backgroundColor: entry.colour }} />}
          <span class="result-label">{entry.label}</span>
          <span class="result-detail">{entry.detail}</span>
        </li>
      ))}
    </ul>
  );
};
