import type { FunctionComponent } from "preact";
import { useMemo, useState } from "preact/hooks";

const MAX_CHARACTERS = 50_000;

/** Text that can be copied whole; of a long one the beginning is shown. */
export const Text: FunctionComponent<{ label: string; text: string }> = ({ label, text }) => {
  const [said, setSaid] = useState("");
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setSaid("copied"),
      () => setSaid("the browser does not allow it"),
    );
  return (
    <div class="text">
      <div class="tools">
        <button type="button" onClick={copy}>
          Copy
        </button>
        <span class="muted" role="status">
          {said}
        </span>
      </div>
      <pre tabIndex={0} role="region" aria-label={label}>
        {text.slice(0, MAX_CHARACTERS)}
      </pre>
      {text.length > MAX_CHARACTERS && (
        <p class="muted">
          The first {MAX_CHARACTERS} of {text.length} characters; “Copy” takes all.
        </p>
      )}
    </div>
  );
};

/** JSON as it came, or indented where it is short. */
export const RawJson: FunctionComponent<{ label: string; text: string }> = ({ label, text }) => {
  const shown = useMemo(
    () => (text.length > MAX_CHARACTERS ? text : JSON.stringify(JSON.parse(text), null, 2)),
    [text],
  );
  return <Text label={label} text={shown} />;
};
