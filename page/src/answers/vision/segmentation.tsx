/** The class of each pixel, coloured over the image, with a legend of the classes' shares. */

import type { FunctionComponent } from "preact";
import { useCallback, useMemo, useState } from "preact/hooks";
import { classColour, css } from "../../image/colours";
import { paintMask } from "../../image/run_lengths";
import { imageOf } from "../../image/source";
import { canvasSize, ImageView, Layer, type Point, type Size } from "../../image/view";
import { Opacity } from "../../slider";
import type { Card, Input } from "../../types";
import type { Region } from "../forms";
import { percent } from "../numbers";
import { ResultList } from "../result_list";

const NOTHING = -1;
const FAINT = 60;

export type Regions = { size: [height: number, width: number]; segments: Region[] };
type Props = { answer: Regions; input: Input; card: Card };

export const Segmentation: FunctionComponent<Props> = ({ answer, input, card }) => {
  const [opacity, setOpacity] = useState(0.6);
  const [active, setActive] = useState<number | null>(null);
  const [height, width] = answer.size;
  const canvas = canvasSize({ width, height });
  const source = useMemo(() => imageOf(input, card.input.field), [input, card]);
  const segments = useMemo(() => answer.segments.toSorted((a, b) => b.area - a.area), [answer]);
  const map = useMemo(() => places(segments, canvas), [segments, canvas.width, canvas.height]);
  const paint = useCallback(
    (context: CanvasRenderingContext2D) =>
      paintMap(context, map, canvas.width, canvas.height, (place) => {
        const faint = active !== null && place !== active;
        return [...classColour(segments[place]!.index), faint ? FAINT : 255];
      }),
    [map, active],
  );
  const point = (at: Point | null): void => {
    if (!at) return setActive(null);
    const x = Math.floor((at.x / width) * canvas.width);
    const y = Math.floor((at.y / height) * canvas.height);
    const place = map[y * canvas.width + x] ?? NOTHING;
    setActive(place === NOTHING ? null : place);
  };
  const left = width * height - segments.reduce((sum, { area }) => sum + area, 0);
  return (
    <div class="beside">
      <ImageView source={source} size={{ width, height }} label="Classes coloured over the image" onPoint={point}>
        {() => <Layer {...canvas} paint={paint} opacity={opacity} name="classes" />}
      </ImageView>
      <div class="side">
        <Opacity value={opacity} onChange={setOpacity} />
        <ResultList
          label="Classes with their shares of the image"
          entries={segments.map(({ label, index, area }) => ({
            label,
            detail: percent(area / (width * height)),
            colour: css(classColour(index)),
          }))}
          active={active}
          onActive={setActive}
        />
        {left > 0 && <p class="note">{percent(left / (width * height))} of the image has none of these classes.</p>}
      </div>
    </div>
  );
};

/** For each pixel of the canvas the position of its class in `segments`, or -1. */
function places(segments: Region[], { width, height }: Size): Int16Array {
  const map = new Int16Array(width * height).fill(NOTHING);
  for (const [place, { rle }] of segments.entries()) paintMask(map, width, height, rle, place);
  return map;
}

type Pixel = [red: number, green: number, blue: number, alpha: number];

/** Colours the pixels of a map that are not -1. */
export function paintMap(
  context: CanvasRenderingContext2D,
  map: Int16Array,
  width: number,
  height: number,
  colour: (value: number) => Pixel,
): void {
  const image = context.createImageData(width, height);
  const known = new Map<number, Pixel>();
  for (let place = 0; place < map.length; place++) {
    const value = map[place]!;
    if (value === NOTHING) continue;
    let pixel = known.get(value);
    if (!pixel) known.set(value, (pixel = colour(value)));
    image.data[4 * place] = pixel[0];
    image.data[4 * place + 1] = pixel[1];
    image.data[4 * place + 2] = pixel[2];
    image.data[4 * place + 3] = pixel[3];
  }
  context.putImageData(image, 0, 0);
}
