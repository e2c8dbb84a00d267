import type { FunctionComponent } from "preact";
import { useState } from "preact/hooks";
import { snippetOf, type Language, LANGUAGES } from "./snippets";
import { Text } from "./raw";
import type { Call } from "./request";
import type { Card } from "./types";

type Props = { call: Call; card: Card; version: string; grpc: string };

export const CopyAs: FunctionComponent<Props> = ({ call, card, version, grpc }) => {
  const [open, setOpen] = useState(false);
  const [language, setLanguage] = useState<Language>("curl");
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Copy as</summary>
      {open && (
        <>
          <fieldset class="languages">
            <legend class="hidden">Copy as</legend>
            {LANGUAGES.map((each) => (
              <label key={each}>
                <input
                  type="radio"
                  name={`copy-${call.path}`}
                  checked={each === language}
                  onChange={() => setLanguage(each)}
                />{" "}
                {each}
              </label>
            ))}
          </fieldset>
          <Text label={`The call in ${language}`} text={snippetOf(language, call, card, version, grpc)} />
        </>
      )}
    </details>
  );
};
