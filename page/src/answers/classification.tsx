/** Classes with their probabilities: of images, texts and recordings, of several tasks, and of labels of one's own. */

import type { FunctionComponent } from "preact";
import { around, type Bar, Bars } from "./bars";
import { type Fields, isFields, isRanked, isText, listOf, type Ranked } from "./forms";
import { Notes } from "./notes";
import { decimal, percent } from "./numbers";

const isRanking = listOf(isRanked);

export type Classes = Fields & { predictions: Ranked[]; labels?: string[] };
export type Tasks = Fields & { tasks: Record<string, Ranked[]> };

export function isClassification(answer: unknown): answer is Classes | Tasks {
  if (!isFields(answer)) return false;
  if (isFields(answer.tasks)) return Object.values(answer.tasks).every(isRanking);
  const labels = answer.labels === undefined || listOf(isText)(answer.labels);
  return labels && isRanking(answer.predictions);
}

export const Classification: FunctionComponent<{ answer: Classes | Tasks }> = ({ answer }) => {
  if ("tasks" in answer && !("predictions" in answer)) {
    return (
      <>
        {Object.entries((answer as Tasks).tasks).map(([name, predictions]) => (
          <section key={name}>
            <h3>{name}</h3>
            <Bars bars={ranking(predictions, predictions.slice(0, 1).map((each) => each.label))} label={name} />
          </section>
        ))}
        <Notes answer={answer} />
      </>
    );
  }
  const { predictions, labels } = answer as Classes;
  const chosen = labels ?? predictions.slice(0, 1).map((each) => each.label);
  return (
    <>
      {labels?.length === 0 && <p class="note">None of the classes applies.</p>}
      <Bars bars={ranking(predictions, chosen, labels ? "applies" : "")} label="Classes, the most probable first" />
      <Notes answer={answer} />
    </>
  );
};

/** Probabilities from 0 to 1; a regression's scores around 0. */
function ranking(predictions: Ranked[], chosen: string[], note = ""): Bar[] {
  const scale = around(predictions.map((each) => each.score ?? 0));
  const names = new Set(chosen);
  return predictions.map(({ label, probability, score }) => ({
    label,
    from: probability === undefined ? scale.from : 0,
    to: probability ?? scale.to(score ?? 0),
    text: probability === undefined ? decimal(score ?? 0) : percent(probability),
    chosen: names.has(label),
    note: names.has(label) ? note : "",
  }));
}
