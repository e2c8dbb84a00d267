import type { FunctionComponent, RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";

const PAUSE = 400; // milliseconds without a keystroke before a key is used

type Props = { field: RefObject<HTMLInputElement | null>; value: string; onChange: (key: string) => void };

/** In this component's state and nowhere else: not a password field, which browsers offer to store. */
export const KeyField: FunctionComponent<Props> = ({ field, value, onChange }) => {
  const [typed, setTyped] = useState(value);
  const use = () => typed !== value && onChange(typed);
  useEffect(() => {
    const waiting = setTimeout(use, PAUSE);
    return () => clearTimeout(waiting);
  }, [typed]);
  return (
    <div class="key">
      <label for="key">Key</label>
      <input
        id="key"
        ref={field}
        class="secret"
        type="text"
        value={typed}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        aria-describedby="key-hint"
        onInput={(event) => setTyped(event.currentTarget.value.trim())}
        onBlur={use} // whoever goes on to a button means it to count there
        onKeyDown={(event) => event.key === "Enter" && onChange(typed)}
      />
      <span id="key-hint" class="muted">
        {value ? "used until the page is closed" : "kept in memory only"}
      </span>
    </div>
  );
};
