/** Greyscale PNGs of 8 or 16 bits with their exact values; a canvas would round 16 bits to 8. */

export type Grey = { width: number; height: number; values: Uint16Array };

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const MAX_PIXELS = 100_000_000;

/** Raises an Error for any other kind of PNG: with colours, a palette, transparency or interlacing. */
export async function readGreyPng(file: Uint8Array<ArrayBuffer>): Promise<Grey> {
  if (SIGNATURE.some((byte, index) => file[index] !== byte)) throw new Error("not a PNG");
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let [width, height, depth] = [0, 0, 0];
  for (let place = 8; place + 12 <= file.length; ) {
    const length = view.getUint32(place);
    const name = String.fromCharCode(...file.subarray(place + 4, place + 8));
    const start = place + 8;
    if (name === "IHDR") {
      [width, height, depth] = [view.getUint32(start), view.getUint32(start + 4), file[start + 8]!];
      const [colour, interlace] = [file[start + 9], file[start + 12]];
      if (colour !== 0 || interlace !== 0 || (depth !== 8 && depth !== 16)) {
        throw new Error("not a plain greyscale PNG of 8 or 16 bits");
      }
    } else if (name === "IDAT") {
      parts.push(file.subarray(start, start + length));
    } else if (name === "IEND") break;
    place = start + length + 4;
  }
  if (width * height === 0 || width * height > MAX_PIXELS) throw new Error(`a PNG of ${width} × ${height} pixels`);
  const bytes = depth / 8;
  const rows = unfiltered(await inflated(parts, height * (width * bytes + 1)), width * bytes, height, bytes);
  const values = new Uint16Array(width * height);
  for (let index = 0; index < values.length; index++) {
    values[index] = bytes === 1 ? rows[index]! : (rows[2 * index]! << 8) | rows[2 * index + 1]!;
  }
  return { width, height, values };
}

async function inflated(parts: Uint8Array<ArrayBuffer>[], size: number): Promise<Uint8Array> {
  const reader = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  const found = new Uint8Array(size);
  let place = 0;
  while (place < size) {
    const { done, value } = await reader.read();
    if (done) throw new Error("a PNG that ends early");
    found.set(value.subarray(0, size - place), place);
    place += value.length;
  }
  void reader.cancel();
  return found;
}

/** Undoes the filters of PNG's section 9, row by row. */
function unfiltered(data: Uint8Array, stride: number, height: number, bytes: number): Uint8Array {
  const rows = new Uint8Array(stride * height);
  for (let row = 0; row < height; row++) {
    const filter = data[row * (stride + 1)]!;
    const from = row * (stride + 1) + 1;
    const to = row * stride;
    for (let index = 0; index < stride; index++) {
      const left = index >= bytes ? rows[to + index - bytes]! : 0;
      const above = row > 0 ? rows[to + index - stride]! : 0;
      const corner = index >= bytes && row > 0 ? rows[to + index - stride - bytes]! : 0;
      rows[to + index] = data[from + index]! + predicted(filter, left, above, corner);
    }
  }
  return rows;
}

function predicted(filter: number, left: number, above: number, corner: number): number {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return above;
  if (filter === 3) return (left + above) >> 1;
  if (filter !== 4) throw new Error(`a PNG with filter ${filter}`);
  const estimate = left + above - corner;
  const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - above), Math.abs(estimate - corner)];
  return a <= b && a <= c ? left : b <= c ? above : corner;
}
