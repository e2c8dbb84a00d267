import type { FunctionComponent } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { KeyField } from "./key";
import { Model } from "./model";
import { ModelList } from "./models";
import { usePlace } from "./place";
import { Problem } from "./problem";
import { fetchCard, listModels, type Listing, ServerError } from "./server";
import { ThemeSwitch } from "./theme";
import type { Card } from "./types";

export const App: FunctionComponent = () => {
  const [key, setKey] = useState("");
  const [listing, setListing] = useState<Listing | null>(null);
  const [card, setCard] = useState<Card | null>(null);
  const [problem, setProblem] = useState<ServerError | null>(null);
  const [wanted, setWanted] = useState(0); // how often the list was asked for again
  const place = usePlace();
  const keyField = useRef<HTMLInputElement>(null);

  const refused = (error: unknown) => {
    if (!(error instanceof ServerError)) throw error;
    setProblem(error);
    if (error.wantsKey) keyField.current?.focus();
  };

  useEffect(() => {
    let current = true;
    listModels(key).then(
      (found) => {
        if (!current) return;
        setListing(found);
        setProblem(null);
      },
      (error: unknown) => current && (setListing(null), refused(error)),
    );
    return () => void (current = false);
  }, [key, wanted]);

  useEffect(() => {
    setCard(null);
    document.title = place.name ? `${place.name} – Models` : "Models";
  }, [place.name, place.version]);

  // Another key, or a reload, changes nothing in the form of a model that is still there.
  useEffect(() => {
    let current = true;
    if (place.name && listing)
      fetchCard(place.name, place.version, key).then(
        (found) => current && (setCard(found), setProblem(null)),
        (error: unknown) => current && refused(error),
      );
    return () => void (current = false);
  }, [place.name, place.version, listing]);

  return (
    <>
      <a class="skip" href="#content" onClick={(event) => (event.preventDefault(), document.getElementById("content")?.focus())}>
        To the model
      </a>
      <header>
        <p class="title">Models</p>
        <KeyField field={keyField} value={key} onChange={setKey} />
        <ThemeSwitch />
      </header>
      <div class="columns">
        <nav aria-label="Models">
          <ModelList models={listing?.models ?? []} place={place} onReload={() => setWanted(wanted + 1)} />
        </nav>
        <main id="content" tabIndex={-1}>
          {problem && <Problem error={problem} />}
          {card ? (
            <Model
              key={`${card.name}/${card.version}`}
              card={card}
              version={place.version}
              secret={key}
              grpc={listing?.grpc ?? ""}
              onKeyRefused={() => keyField.current?.focus()}
            />
          ) : (
            !problem && <p class="muted">{place.name ? "Loading…" : "Choose a model to try it."}</p>
          )}
        </main>
      </div>
    </>
  );
};
