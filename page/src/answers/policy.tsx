/** The action of a policy: the probabilities or values of discrete ones, the distribution of continuous ones. */

import type { FunctionComponent } from "preact";
import { useState } from "preact/hooks";
import { Slider } from "../slider";
import type { Card } from "../types";
import { around, type Bar, Bars } from "./bars";
import { type Action, type Fields, isAction, isFields, isNumber, listOf } from "./forms";
import { count, decimal, percent } from "./numbers";

export type PolicyAnswer = Action | { predictions: Action[] };

export function isPolicy(answer: unknown): answer is PolicyAnswer {
  if (isAction(answer)) return true;
  return isFields(answer) && listOf(isAction)(answer.predictions) && answer.predictions.length > 0;
}

export const Policy: FunctionComponent<{ answer: PolicyAnswer; card: Card }> = ({ answer, card }) => {
  const [place, setPlace] = useState(0);
  if (!("predictions" in answer)) return <OneAction answer={answer} card={card} />;
  const actions = answer.predictions;
  const current = Math.min(place, actions.length - 1);
  return (
    <>
      <Slider max={actions.length - 1} step={1} value={current} onChange={setPlace}>
        Observation {current + 1} of {count(actions.length)}
      </Slider>
      <OneAction answer={actions[current]!} card={card} />
    </>
  );
};

const OneAction: FunctionComponent<{ answer: Action; card: Card }> = ({ answer, card }) => {
  const label = answer.label === undefined ? "" : ` (${answer.label})`;
  const action = Array.isArray(answer.action) ? answer.action.map((each) => decimal(each)).join(", ") : answer.action;
  return (
    <>
      <p>
        Action: <strong>{action}{label}</strong>, value {decimal(answer.value)}
      </p>
      <Bars bars={bars(answer, card)} label="Actions" />
    </>
  );
};

function bars(answer: Action, card: Card): Bar[] {
  if (Array.isArray(answer.action)) return continuous(answer, answer.action, card.preprocessing.action);
  const numbers = answer.probabilities ?? answer.values ?? [];
  const scale = around(answer.values ?? []);
  return numbers.map((value, index) => ({
    label: card.labels[index] ?? `action ${index}`,
    from: answer.probabilities ? 0 : scale.from,
    to: answer.probabilities ? value : scale.to(value),
    text: answer.probabilities ? percent(value) : decimal(value),
    chosen: index === answer.action,
  }));
}

/** Each dimension's bar goes from the mean less to the mean plus a standard deviation, within the action's bounds. */
function continuous(answer: Action, action: number[], described: unknown): Bar[] {
  const bounds = isFields(described) ? described : {};
  return action.map((value, index) => {
    const mean = answer.mean?.[index] ?? value;
    const std = answer.std?.[index] ?? 0;
    const low = bound(bounds, "low", index) ?? Math.min(value, mean - 2 * std);
    const high = bound(bounds, "high", index) ?? Math.max(value, mean + 2 * std);
    const share = (place: number): number => Math.max(0, Math.min(1, (place - low) / (high - low || 1)));
    return {
      label: `action[${index}]`,
      note: `${decimal(low)} to ${decimal(high)}`,
      from: share(mean - std),
      to: share(mean + std),
      text: `${decimal(value)} (mean ${decimal(mean)} ± ${decimal(std)})`,
      chosen: true,
    };
  });
}

function bound(bounds: Fields, name: string, index: number): number | undefined {
  const list = bounds[name];
  const value = Array.isArray(list) ? list[index] : list;
  return isNumber(value) ? value : undefined;
}
