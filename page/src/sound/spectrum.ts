/** The short-time Fourier transform of a recording, for drawing. */

export const WINDOW = 512;
const RANGE_DB = 80;

/**
 * Levels from 0 to 1 over the loudest 80 dB, one row of WINDOW / 2 bands per frame, the lowest band first.
 *
 * The frames are spread evenly over the samples: their number, and not the length of the recording, decides the cost.
 */
export function levels(samples: Float32Array, frames: number): Float32Array {
  const bands = WINDOW / 2;
  const found = new Float32Array(frames * bands);
  const hann = (_: unknown, index: number): number => 0.5 - 0.5 * Math.cos((2 * Math.PI * index) / WINDOW);
  const shape = Float32Array.from({ length: WINDOW }, hann);
  const real = new Float32Array(WINDOW);
  const imaginary = new Float32Array(WINDOW);
  let loudest = 1e-12;
  for (let frame = 0; frame < frames; frame++) {
    const start = Math.round(((frame + 0.5) * samples.length) / frames) - bands;
    for (let index = 0; index < WINDOW; index++) real[index] = (samples[start + index] ?? 0) * shape[index]!;
    imaginary.fill(0);
    transform(real, imaginary);
    for (let band = 0; band < bands; band++) {
      const power = real[band]! ** 2 + imaginary[band]! ** 2;
      found[frame * bands + band] = power;
      loudest = Math.max(loudest, power);
    }
  }
  for (let index = 0; index < found.length; index++) {
    const decibels = 10 * Math.log10(Math.max(found[index]! / loudest, 1e-12));
    found[index] = Math.max(0, 1 + decibels / RANGE_DB);
  }
  return found;
}

/** The fast Fourier transform of Cooley and Tukey, in place; the length is a power of two. */
export function transform(real: Float32Array, imaginary: Float32Array): void {
  const size = real.length;
  for (let index = 1, reversed = 0; index < size; index++) {
    let bit = size >> 1;
    for (; reversed & bit; bit >>= 1) reversed ^= bit;
    reversed ^= bit;
    if (index < reversed) {
      [real[index], real[reversed]] = [real[reversed]!, real[index]!];
      [imaginary[index], imaginary[reversed]] = [imaginary[reversed]!, imaginary[index]!];
    }
  }
  for (let length = 2; length <= size; length *= 2) {
    const half = length / 2;
    for (let step = 0; step < half; step++) {
      const angle = (-2 * Math.PI * step) / length;
      const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
      for (let even = step; even < size; even += length) {
        const odd = even + half;
        const [a, b] = [real[odd]!, imaginary[odd]!];
        const [turnedReal, turnedImaginary] = [a * cosine - b * sine, a * sine + b * cosine];
        real[odd] = real[even]! - turnedReal;
        imaginary[odd] = imaginary[even]! - turnedImaginary;
        real[even] = real[even]! + turnedReal;
        imaginary[even] = imaginary[even]! + turnedImaginary;
      }
    }
  }
}
