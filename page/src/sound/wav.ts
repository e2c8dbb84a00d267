/** One channel of samples from -1 to 1 as a WAV file of 16 bits, which every server of this bundle reads. */
export function wav(samples: Float32Array, rate: number): Blob {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const name = (place: number, text: string): void => {
    for (let index = 0; index < text.length; index++) view.setUint8(place + index, text.charCodeAt(index));
  };
  name(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  name(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  name(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  for (let index = 0; index < samples.length; index++) {
    view.setInt16(44 + 2 * index, Math.round(Math.max(-1, Math.min(1, samples[index]!)) * 32_767), true);
  }
  return new Blob([view], { type: "audio/wav" });
}
