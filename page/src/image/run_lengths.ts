/** COCO's compressed run lengths: masks as pycocotools writes them, column by column. */

export type RunLengths = { size: [height: number, width: number]; counts: string };

/** Lengths of the runs of 0 and 1 in turn, the first of 0. */
export function readCounts(text: string): number[] {
  const counts: number[] = [];
  let place = 0;
  while (place < text.length) {
    let value = 0;
    let shift = 0;
    let more = true;
    while (more && place < text.length) {
      const code = text.charCodeAt(place++) - 48;
      value |= (code & 0x1f) << shift;
      shift += 5;
      more = (code & 0x20) !== 0;
      if (!more && (code & 0x10) !== 0) value |= -1 << shift;
    }
    if (counts.length > 2) value += counts[counts.length - 2]!;
    counts.push(value);
  }
  return counts;
}

/**
 * Writes `value` into `map`, row by row, wherever the mask is set.
 *
 * The map may be smaller than the mask: each of its pixels shows the mask's pixel under its centre. The time needed
 * grows with the number of runs and the pixels written, not with the size of the mask.
 */
export function paintMask(map: Int16Array, width: number, height: number, mask: RunLengths, value: number): void {
  const [maskHeight, maskWidth] = mask.size;
  const first = (place: number, from: number, to: number): number =>
    Math.max(0, Math.min(to, Math.ceil((place * to) / from - 0.5)));
  const end = maskHeight * maskWidth;
  let start = 0;
  let set = false;
  for (const count of readCounts(mask.counts)) {
    const stop = Math.min(start + count, end);
    if (set && count > 0) {
      const last = Math.floor((stop - 1) / maskHeight);
      for (let column = Math.floor(start / maskHeight); column <= last; column++) {
        const left = first(column, maskWidth, width);
        const right = first(column + 1, maskWidth, width);
        if (left === right) continue;
        const top = first(Math.max(0, start - column * maskHeight), maskHeight, height);
        const bottom = first(Math.min(maskHeight, stop - column * maskHeight), maskHeight, height);
        for (let x = left; x < right; x++) for (let y = top; y < bottom; y++) map[y * width + x] = value;
      }
    }
    if (count < 0 || start + count > end) return;
    start = stop;
    set = !set;
  }
}
