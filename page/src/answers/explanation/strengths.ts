/** Attributions relative to their own scale, as the server's heat maps have them (handlers/explanation/heat_map.py). */

const QUANTILE = 0.99;

/** From -1 to 1: values as large as the 99th percentile of all, or larger, have the full strength. */
export function strengths(values: number[]): Float32Array {
  const sizes = Float64Array.from(values, Math.abs).sort();
  const place = QUANTILE * (sizes.length - 1);
  const below = sizes[Math.floor(place)] ?? 0;
  const above = sizes[Math.ceil(place)] ?? 0;
  const largest = below + (above - below) * (place % 1) || (sizes.at(-1) ?? 0);
  return Float32Array.from(values, (value) => (largest ? Math.max(-1, Math.min(1, value / largest)) : 0));
}
