/** Attributions of an image's parts, coloured over it. */

import type { FunctionComponent } from "preact";
import { useCallback, useMemo, useState } from "preact/hooks";
import { signColour } from "../../image/colours";
import { imageOf } from "../../image/source";
import { canvasSize, ImageView, Layer, type Size } from "../../image/view";
import { Opacity } from "../../slider";
import type { Card, Input } from "../../types";
import { strengths } from "./strengths";

/** rows: over the box x1 y1 x2 y2, in the image's pixels; it may reach beyond the image. */
type Props = { rows: number[][]; box: [number, number, number, number]; input: Input; card: Card };

export const HeatMap: FunctionComponent<Props> = ({ rows, box, input, card }) => {
  const [opacity, setOpacity] = useState(0.85);
  const source = useMemo(() => imageOf(input, card.input.field), [input, card]);
  const [, , right, bottom] = box;
  return (
    <>
      <ImageView source={source} size={{ width: right, height: bottom }} label="Attributions over the image" grey>
        {(size) => <Heat rows={rows} box={box} size={size} opacity={opacity} />}
      </ImageView>
      <Opacity value={opacity} onChange={setOpacity} />
    </>
  );
};

type HeatProps = { rows: number[][]; box: Props["box"]; size: Size; opacity: number };

const Heat: FunctionComponent<HeatProps> = ({ rows, box, size, opacity }) => {
  const canvas = canvasSize(size);
  const scale = canvas.width / size.width;
  const paint = useCallback(
    (context: CanvasRenderingContext2D) => {
      const cells = cellsOf(rows);
      const [left, top, right, bottom] = box;
      context.drawImage(cells, left * scale, top * scale, (right - left) * scale, (bottom - top) * scale);
    },
    [rows, box, scale],
  );
  return <Layer {...canvas} paint={paint} opacity={opacity} name="heat" />;
};

/** One pixel for each number: in the colour of its sign, the more opaque the stronger it is. */
export function cellsOf(rows: number[][]): OffscreenCanvas {
  const columns = Math.max(1, ...rows.map((row) => row.length));
  const cells = new OffscreenCanvas(columns, Math.max(1, rows.length));
  const context = cells.getContext("2d");
  if (!context) return cells;
  const image = context.createImageData(columns, cells.height);
  const shares = strengths(rows.flat());
  let place = 0;
  for (const [y, row] of rows.entries()) {
    for (const [x, value] of row.entries()) {
      const alpha = Math.round(255 * Math.abs(shares[place++]!));
      image.data.set([...signColour(value), alpha], 4 * (y * columns + x));
    }
  }
  context.putImageData(image, 0, 0);
  return cells;
}
