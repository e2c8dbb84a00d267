/** The depth of each pixel in colours, with their scale. */

import type { FunctionComponent } from "preact";
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Grey, readGreyPng } from "../../image/grey_png";
import { scaleColour } from "../../image/colours";
import { fromBase64, imageOf } from "../../image/source";
import { canvasSize, ImageView, Layer, type Point } from "../../image/view";
import { Opacity } from "../../slider";
import type { Card, Input } from "../../types";
import type { Depth as DepthAnswer } from "../forms";
import { decimal } from "../numbers";

type Props = { answer: DepthAnswer; input: Input; card: Card };

export const Depth: FunctionComponent<Props> = ({ answer, input, card }) => {
  const [opacity, setOpacity] = useState(1);
  const [at, setAt] = useState<Point | null>(null);
  const map = useGreyPng(answer.png);
  const source = useMemo(() => imageOf(input, card.input.field), [input, card]);
  const unit = answer.kind === "metric" ? " m" : "";
  const [height, width] = answer.size;
  const canvas = canvasSize({ width, height });
  const { scale, offset, minimum, maximum, nearer } = answer;
  const share = useCallback(
    (value: number): number => {
      const range = maximum - minimum || 1;
      const place = (offset + scale * value - minimum) / range;
      return nearer === "lower" ? 1 - place : place;
    },
    [scale, offset, minimum, maximum, nearer],
  );
  const paint = useCallback(
    (context: CanvasRenderingContext2D) => {
      if (map instanceof Error || !map) return;
      const image = context.createImageData(canvas.width, canvas.height);
      for (let y = 0; y < canvas.height; y++) {
        for (let x = 0; x < canvas.width; x++) {
          const colour = scaleColour(share(valueAt(map, (x + 0.5) / canvas.width, (y + 0.5) / canvas.height)));
          image.data.set([...colour, 255], 4 * (y * canvas.width + x));
        }
      }
      context.putImageData(image, 0, 0);
    },
    [map, canvas.width, canvas.height, share],
  );
  const grey = map instanceof Error ? null : map;
  const pointed = at && grey ? offset + scale * valueAt(grey, at.x / width, at.y / height) : null;
  return (
    <div class="beside">
      <ImageView source={source} size={{ width, height }} label="Depth over the image" onPoint={setAt}>
        {() => answer.png && <Layer {...canvas} paint={paint} opacity={opacity} name="depth" />}
      </ImageView>
      <div class="side">
        {map instanceof Error && <p class="note">The depth map cannot be read: {map.message}</p>}
        {answer.png === undefined && <p class="note">To have the depths drawn, set the parameter map to true.</p>}
        {answer.png !== undefined && <Opacity value={opacity} onChange={setOpacity} />}
        <Scale near={nearer === "lower" ? minimum : maximum} far={nearer === "lower" ? maximum : minimum} unit={unit} />
        <dl class="facts">
          <dt>kind</dt>
          <dd>{answer.kind === "metric" ? "metres" : "relative, up to scale and shift"}</dd>
          <dt>mean</dt>
          <dd>{decimal(answer.mean) + unit}</dd>
          <dt>under the pointer</dt>
          <dd class="pointed">{pointed === null ? "–" : decimal(pointed) + unit}</dd>
        </dl>
      </div>
    </div>
  );
};

const Scale: FunctionComponent<{ near: number; far: number; unit: string }> = ({ near, far, unit }) => {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    const image = context.createImageData(256, 1);
    for (let x = 0; x < 256; x++) image.data.set([...scaleColour(1 - x / 255), 255], 4 * x);
    context.putImageData(image, 0, 0);
  }, []);
  return (
    <div class="scale">
      <canvas ref={canvas} width={256} height={1} aria-hidden="true" />
      <span>near: {decimal(near) + unit}</span>
      <span>far: {decimal(far) + unit}</span>
    </div>
  );
};

function valueAt({ width, height, values }: Grey, x: number, y: number): number {
  const column = Math.max(0, Math.min(width - 1, Math.floor(x * width)));
  const row = Math.max(0, Math.min(height - 1, Math.floor(y * height)));
  return values[row * width + column]!;
}

function useGreyPng(base64: string | undefined): Grey | Error | null {
  const [read, setRead] = useState<{ base64: string; map: Grey | Error } | null>(null);
  useEffect(() => {
    let current = true;
    if (base64 === undefined) return;
    const file = fromBase64(base64);
    if (!file) return setRead({ base64, map: Error("not base64") });
    const map = file.arrayBuffer().then((bytes) => readGreyPng(new Uint8Array(bytes)));
    map.then(
      (found) => current && setRead({ base64, map: found }),
      (error: unknown) => current && setRead({ base64, map: error instanceof Error ? error : Error(String(error)) }),
    );
    return () => {
      current = false;
    };
  }, [base64]);
  return read !== null && read.base64 === base64 ? read.map : null;
}
