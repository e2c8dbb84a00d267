/** Boxes over the image, with a list of them beside it. */

import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import { classColour, css } from "../../image/colours";
import { imageOf } from "../../image/source";
import { ImageView, type Point, type Size } from "../../image/view";
import { Slider } from "../../slider";
import type { Card, Input } from "../../types";
import type { Detection } from "../forms";
import { count, percent } from "../numbers";
import { ResultList } from "../result_list";

const MOST = 300;
// Up to this many boxes are captioned; of more only the active one.
const CAPTIONS = 12;

type Props<Found extends Detection> = {
  found: Found[];
  input: Input;
  card: Card;
  size?: Size | null;
  /** Drawn between the image and the boxes. */
  layer?: (shown: Found[], active: number | null, size: Size) => ComponentChildren;
  /** Drawn inside the boxes' SVG, for each object. */
  inside?: (object: Found, active: boolean, unit: number) => ComponentChildren;
  controls?: ComponentChildren;
};

export function Detections<Found extends Detection>(props: Props<Found>) {
  const { input, card, found } = props;
  const [active, setActive] = useState<number | null>(null);
  const [least, setLeast] = useState(0);
  const source = useMemo(() => imageOf(input, card.input.field), [input, card]);
  const sorted = useMemo(() => found.toSorted((a, b) => b.score - a.score), [found]);
  const above = useMemo(() => sorted.filter((each) => each.score >= least), [sorted, least]);
  const shown = useMemo(() => above.slice(0, MOST), [above]);
  const marked = active !== null && active < shown.length ? active : null;
  const size = props.size ?? extent(found);
  return (
    <div class="beside">
      <ImageView
        source={source}
        size={size}
        label={`${count(shown.length)} objects drawn over the image`}
        onPoint={(point) => setActive(point ? smallestAt(shown, point) : null)}
      >
        {(drawn) => (
          <>
            {props.layer?.(shown, marked, drawn)}
            <Boxes shown={shown} active={marked} size={drawn} inside={props.inside} />
          </>
        )}
      </ImageView>
      <div class="side">
        {props.controls}
        {sorted.length > 1 && (
          <Slider step={0.01} value={least} onChange={setLeast}>
            Score of at least {percent(least)}
          </Slider>
        )}
        <p class="note" role="status">
          {summary(found.length, above.length, shown.length)}
        </p>
        <ResultList
          label="Objects"
          entries={shown.map(({ label, score, index }) => ({
            label,
            detail: percent(score),
            colour: css(classColour(index)),
          }))}
          active={marked}
          onActive={setActive}
        />
      </div>
    </div>
  );
}

type BoxesProps<Found extends Detection> = Pick<Props<Found>, "inside"> & {
  shown: Found[];
  active: number | null;
  size: Size;
};

function Boxes<Found extends Detection>({ shown, active, size, inside }: BoxesProps<Found>) {
  const unit = Math.max(size.width, size.height) / 400;
  const order = shown.map((_, index) => index).filter((index) => index !== active);
  if (active !== null) order.push(active); // on top
  return (
    <svg class="layer boxes" viewBox={`0 0 ${size.width} ${size.height}`} aria-hidden="true">
      {order.map((index) => {
        const { box, label, score, index: name } = shown[index]!;
        const [x, y, right, bottom] = box;
        const on = index === active;
        const colour = css(classColour(name));
        return (
          <g key={index} class={`object${on ? " active" : ""}${active !== null && !on ? " faint" : ""}`}>
            <rect
              x={x}
              y={y}
              width={Math.max(0, right - x)}
              height={Math.max(0, bottom - y)}
              fill={on ? css(classColour(name), 0.2) : "none"}
              stroke={colour}
              stroke-width={(on ? 3 : 1.5) * unit}
            />
            {inside?.(shown[index]!, on, unit)}
            {(on || (active === null && shown.length <= CAPTIONS)) && (
              <text
                x={x > size.width * 0.6 ? right : x}
                y={y > 14 * unit ? y - 4 * unit : y + 12 * unit}
                text-anchor={x > size.width * 0.6 ? "end" : "start"}
                font-size={12 * unit}
              >
                {label} {percent(score)}
              </text>
            )}
          </g>
        );
      })}
    </svg>
  );
}

function summary(all: number, above: number, shown: number): string {
  if (shown < above) return `The ${count(shown)} with the highest scores of ${count(above)} are drawn.`;
  if (above < all) return `${count(above)} of ${count(all)} objects`;
  return all === 1 ? "1 object" : all === 0 ? "Nothing was found." : `${count(all)} objects`;
}

/** Of the boxes that hold a point, the smallest: nested boxes can all be reached. */
function smallestAt(found: Detection[], { x, y }: Point): number | null {
  let best: number | null = null;
  let least = Infinity;
  for (const [index, { box }] of found.entries()) {
    const [left, top, right, bottom] = box;
    const area = (right - left) * (bottom - top);
    if (x >= left && x <= right && y >= top && y <= bottom && area < least) [best, least] = [index, area];
  }
  return best;
}

function extent(found: Detection[]): Size {
  const [width, height] = [2, 3].map((side) => found.reduce((most, { box }) => Math.max(most, box[side]!), 1));
  return { width: width!, height: height! };
}
