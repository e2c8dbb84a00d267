/** Characters as the server counts them, Unicode's code points, in JavaScript's strings of UTF-16. */

export function countCharacters(text: string): number {
  let count = text.length;
  for (let index = 0; index + 1 < text.length; index++) {
    if (isPair(text, index)) {
      count--;
      index++;
    }
  }
  return count;
}

/** Maps offsets in characters to offsets in `text`; those beyond its end map to its end. */
export function utf16Offsets(text: string): (characters: number) => number {
  if (!/[\ud800-\udbff][\udc00-\udfff]/.test(text)) return (offset) => Math.min(offset, text.length);
  const places: number[] = [];
  for (let index = 0; index < text.length; index += isPair(text, index) ? 2 : 1) places.push(index);
  return (offset) => places[offset] ?? text.length;
}

function isPair(text: string, index: number): boolean {
  const [high, low] = [text.charCodeAt(index), text.charCodeAt(index + 1)];
  return high >= 0xd800 && high < 0xdc00 && low >= 0xdc00 && low < 0xe000;
}
