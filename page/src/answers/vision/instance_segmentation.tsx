/** Objects with their boxes and masks. */

import type { FunctionComponent } from "preact";
import { useCallback, useState } from "preact/hooks";
import { classColour } from "../../image/colours";
import { paintMask } from "../../image/run_lengths";
import { canvasSize, Layer, type Size } from "../../image/view";
import { Opacity } from "../../slider";
import type { Card, Input } from "../../types";
import { Detections } from "./detections";
import type { Instance } from "../forms";
import { paintMap } from "./segmentation";

// Masks of further objects are left to their boxes, and drawn when those are pointed at.
const MOST_MASKS = 100;

export type Instances = { size: [number, number]; segments: Instance[] };
type Props = { answer: Instances; input: Input; card: Card };

export const InstanceSegmentation: FunctionComponent<Props> = ({ answer, input, card }) => {
  const [opacity, setOpacity] = useState(0.5);
  return (
    <Detections
      found={answer.segments}
      input={input}
      card={card}
      size={{ width: answer.size[1], height: answer.size[0] }}
      controls={<Opacity value={opacity} onChange={setOpacity} />}
      layer={(shown, active, size) => <Masks shown={shown} active={active} size={size} opacity={opacity} />}
    />
  );
};

type MasksProps = { shown: Instance[]; active: number | null; size: Size; opacity: number };

const Masks: FunctionComponent<MasksProps> = ({ shown, active, size, opacity }) => {
  const { width, height } = canvasSize(size);
  const paint = useCallback(
    (context: CanvasRenderingContext2D) => {
      const map = new Int16Array(width * height).fill(-1);
      const drawn = active === null ? shown.slice(0, MOST_MASKS) : [shown[active]!];
      // The best on top.
      for (const { rle, index } of drawn.toReversed()) paintMask(map, width, height, rle, index);
      paintMap(context, map, width, height, (index) => [...classColour(index), 255]);
    },
    [shown, active, width, height],
  );
  return <Layer width={width} height={height} paint={paint} opacity={opacity} name="masks" />;
};
