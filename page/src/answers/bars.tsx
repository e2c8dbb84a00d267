/** Labelled bars: classes with their probabilities, actions with their values. */

import type { FunctionComponent } from "preact";
import { useState } from "preact/hooks";
import { count } from "./numbers";

const STEP = 20;

/** from, to: of the bar, as shares of the row. chosen: what the model decided for. */
export type Bar = { label: string; from: number; to: number; text: string; chosen?: boolean; note?: string };

export const Bars: FunctionComponent<{ bars: Bar[]; label: string }> = ({ bars, label }) => {
  const [shown, setShown] = useState(STEP);
  const hidden = bars.length - shown;
  return (
    <div class="bars">
      <ol aria-label={label}>
        {bars.slice(0, shown).map((bar, index) => (
          <li key={index} class={bar.chosen ? "chosen" : ""}>
            <span class="bar-label">
              {bar.label}
              {bar.note && <small> {bar.note}</small>}
            </span>
            <span class="bar-value">{bar.text}</span>
            <span class="bar-track" aria-hidden="true">
              <span
                class="bar-fill"
                style={{
                  left: `${100 * Math.min(bar.from, bar.to)}%`,
                  width: `${100 * Math.abs(bar.to - bar.from)}%`,
                }}
              />
            </span>
          </li>
        ))}
      </ol>
      {hidden > 0 && (
        <button type="button" class="more" onClick={() => setShown(shown + 10 * STEP)}>
          {count(shown)} of {count(bars.length)} shown; show more
        </button>
      )}
    </div>
  );
};

/** Bars from 0, or from where 0 lies between the smallest and the largest value. */
export function around(values: number[]): { from: number; to: (value: number) => number } {
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const range = high - low || 1;
  return { from: -low / range, to: (value) => (value - low) / range };
}
