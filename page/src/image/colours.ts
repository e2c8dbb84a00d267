/** Colours of classes and of scales. */

export type Colour = readonly [red: number, green: number, blue: number];

const GOLDEN_RATIO = 0.618034;

/** The colour that a class has in the server's own drawings, too (handlers/vision/output/drawing.py). */
export function classColour(index: number): Colour {
  const hue = (((index * GOLDEN_RATIO) % 1) + 1) % 1;
  const [saturation, value] = [0.85, 1];
  const level = (shift: number): number => {
    const place = (shift + hue * 6) % 6;
    return Math.round(255 * value * (1 - saturation * Math.max(0, Math.min(place, 4 - place, 1))));
  };
  return [level(5), level(3), level(1)];
}

export function css([red, green, blue]: Colour, opacity = 1): string {
  return opacity === 1 ? `rgb(${red} ${green} ${blue})` : `rgb(${red} ${green} ${blue} / ${opacity})`;
}

// Matplotlib's viridis at nine equal steps.
const VIRIDIS: readonly Colour[] = [
  [68, 1, 84],
  [71, 45, 123],
  [59, 82, 139],
  [44, 114, 142],
  [33, 145, 140],
  [40, 174, 128],
  [94, 201, 98],
  [173, 220, 48],
  [253, 231, 37],
];

/** Of a share from 0 to 1. */
export function scaleColour(share: number): Colour {
  const place = Math.max(0, Math.min(1, share)) * (VIRIDIS.length - 1);
  const below = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return mixed(VIRIDIS[below]!, VIRIDIS[below + 1]!, place - below);
}

// The ends of ColorBrewer's RdBu, as in the server's heat maps: for the target, and against it.
const FOR: Colour = [178, 24, 43];
const AGAINST: Colour = [33, 102, 172];

export function signColour(value: number): Colour {
  return value >= 0 ? FOR : AGAINST;
}

function mixed(from: Colour, to: Colour, share: number): Colour {
  const between = (index: 0 | 1 | 2): number => Math.round(from[index] + (to[index] - from[index]) * share);
  return [between(0), between(1), between(2)];
}
