/** An image with something drawn over it, in the image's own pixels. */

import type { ComponentChildren, FunctionComponent } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ImageSource } from "./source";

export type Size = { width: number; height: number };
export type Point = { x: number; y: number };

// Of a canvas: larger images are drawn smaller.
const LONGEST = 1600;
// Images of fewer pixels across are drawn enlarged.
const SMALL = 320;

type Props = {
  source: ImageSource | null;
  /** Of the answer: where the browser cannot read the image, its place is drawn empty at this size. */
  size: Size | null;
  label: string;
  grey?: boolean;
  onPoint?: (point: Point | null) => void;
  children?: (size: Size) => ComponentChildren;
};

/** The size of a canvas that shows so many pixels. */
export function canvasSize({ width, height }: Size): Size {
  const scale = Math.min(1, LONGEST / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

export const ImageView: FunctionComponent<Props> = ({ source, size, label, grey, onPoint, children }) => {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [read, setRead] = useState<{ source: ImageSource; size: Size | null } | null>(null);
  useEffect(() => {
    let current = true;
    if (!source) return;
    // Upright, as the server turns photographs by their EXIF orientation.
    createImageBitmap(source).then(
      (bitmap) => {
        if (current && canvas.current) {
          draw(canvas.current, bitmap);
          setRead({ source, size: { width: bitmap.width, height: bitmap.height } });
        }
        bitmap.close();
      },
      () => current && setRead({ source, size: null }),
    );
    return () => {
      current = false;
    };
  }, [source]);
  const small = read?.size && read.size.width < SMALL ? " small" : "";
  const done = !source || read?.source === source;
  const own = read?.source === source && source ? read.size : null;
  const shown = own ?? (done ? size : null);
  const point = (event: PointerEvent): void => {
    if (!onPoint || !shown) return;
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    onPoint({
      x: ((event.clientX - box.left) / box.width) * shown.width,
      y: ((event.clientY - box.top) / box.height) * shown.height,
    });
  };
  return (
    <figure class="image-view" role="group" aria-label={label}>
      {done && !own && <p class="note">This browser cannot show the image's format.</p>}
      <div
        class={`image-layers${own ? "" : " empty"}`}
        style={shown && !own ? { aspectRatio: `${shown.width} / ${shown.height}` } : {}}
        onPointerMove={point}
        onPointerDown={point}
        onPointerLeave={() => onPoint?.(null)}
      >
        <canvas
          ref={canvas}
          class={`image${grey ? " grey" : ""}${small}`}
          hidden={!own}
          role="img"
          aria-label={label}
        />
        {shown && children?.(shown)}
      </div>
    </figure>
  );
};

function draw(canvas: HTMLCanvasElement, bitmap: ImageBitmap): void {
  const { width, height } = canvasSize(bitmap);
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0, width, height);
}

type LayerProps = Size & { paint: (context: CanvasRenderingContext2D) => void; opacity: number; name: string };

/** A canvas over the image; `paint` draws it whenever it is another function. */
export const Layer: FunctionComponent<LayerProps> = ({ width, height, paint, opacity, name }) => {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    context.clearRect(0, 0, width, height);
    paint(context);
  }, [width, height, paint]);
  return (
    <canvas
      ref={canvas}
      class={`layer ${name}`}
      width={width}
      height={height}
      aria-hidden="true"
      style={{ opacity: String(opacity) }}
    />
  );
};
