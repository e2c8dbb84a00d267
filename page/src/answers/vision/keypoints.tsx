/** Objects with named points, and lines between those that the model card's skeleton joins. */

import type { FunctionComponent } from "preact";
import { classColour, css } from "../../image/colours";
import type { Card, Input } from "../../types";
import { Detections } from "./detections";
import type { Pose } from "../forms";
import { decimal } from "../numbers";

type Props = { answer: { detections: Pose[] }; input: Input; card: Card };

export const Keypoints: FunctionComponent<Props> = ({ answer, input, card }) => {
  const skeleton = pairs(card.preprocessing.skeleton);
  return (
    <Detections
      found={answer.detections}
      input={input}
      card={card}
      inside={(object, active, unit) => <Points object={object} skeleton={skeleton} active={active} unit={unit} />}
    />
  );
};

type PointsProps = { object: Pose; skeleton: [number, number][]; active: boolean; unit: number };

const Points: FunctionComponent<PointsProps> = ({ object, skeleton, active, unit }) => {
  const colour = css(classColour(object.index + 1));
  return (
    <g class="pose">
      {skeleton.map(([from, to], index) => {
        const [a, b] = [object.keypoints[from], object.keypoints[to]];
        if (!a || !b) return null;
        return <line key={index} x1={a.x} y1={a.y} x2={b.x} y2={b.y} stroke={colour} stroke-width={2 * unit} />;
      })}
      {object.keypoints.map(({ name, x, y, score }) => (
        <g key={name}>
          <circle cx={x} cy={y} r={3 * unit} fill={colour}>
            <title>{`${name} ${decimal(score)}`}</title>
          </circle>
          {active && (
            <text x={x + 4 * unit} y={y + 4 * unit} font-size={9 * unit}>
              {name}
            </text>
          )}
        </g>
      ))}
    </g>
  );
};

function pairs(value: unknown): [number, number][] {
  if (!Array.isArray(value)) return [];
  return value.filter((pair) => Array.isArray(pair) && pair.length === 2 && pair.every(Number.isInteger));
}
