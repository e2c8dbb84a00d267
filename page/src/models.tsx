import type { FunctionComponent } from "preact";
import { useState } from "preact/hooks";
import { hashOf, type Place } from "./place";
import type { Summary } from "./types";

const MAX_SHOWN = 200;

type Props = { models: Summary[]; place: Place; onReload: () => void };

export const ModelList: FunctionComponent<Props> = ({ models, place, onReload }) => {
  const [wanted, setWanted] = useState("");
  const found = models.filter(({ name, task }) => `${name} ${task}`.toLowerCase().includes(wanted.toLowerCase()));
  return (
    <>
      <div class="find">
        <input
          type="search"
          aria-label="Find a model by name or task"
          placeholder="Find"
          value={wanted}
          onInput={(event) => setWanted(event.currentTarget.value)}
        />
        <button type="button" onClick={onReload}>
          Reload
        </button>
      </div>
      <ul class="models">
        {found.slice(0, MAX_SHOWN).map((model) => (
          <li key={model.name}>
            <a href={hashOf(model.name)} aria-current={model.name === place.name ? "page" : undefined}>
              <span class="name">{model.name}</span>
              <span class="muted">
                {model.task || "handler of its own"} · {model.version}
                {model.classes > 0 && ` · ${model.classes} classes`}
                {!model.ready && " · not ready"}
              </span>
            </a>
          </li>
        ))}
      </ul>
      <p class="muted" aria-live="polite">
        {found.length > MAX_SHOWN ? `${MAX_SHOWN} of ${found.length} models` : `${found.length} models`}
      </p>
    </>
  );
};
