// What a rounding error of `linear` is relative to: the sizes of the weights, or of the parts that a backend keeps apart.

import { f16At, formats, q4kMinimum, q4kScale } from "@polyllama/core";
import type { Rounding } from "./bounds.ts";
import type { LoadedWeight } from "./ops/linear.ts";

/** Sizes of what is multiplied with each input in f32, and of what is multiplied with inputs rounded to int8. */
export function magnitudes(
  { info, values, bytes }: LoadedWeight,
  { apartOffsets }: Rounding,
): { readonly summed: Float32Array; readonly rounded: Float32Array } {
  if (info.format !== "q4_k" || !apartOffsets?.includes("q4_k")) {
    const whole = values.map(Math.abs);
    return { summed: whole, rounded: whole };
  }
  const summed = new Float32Array(values.length);
  const rounded = new Float32Array(values.length);
  const { blockSize, blockBytes } = formats.q4_k;
  for (let start = 0, out = 0; start < bytes.length; start += blockBytes, out += blockSize) {
    const [d, dmin] = [f16At(bytes, start), f16At(bytes, start + 2)];
    for (let i = 0; i < blockSize; i++) {
      const j = i >> 5; // sub-block
      const s = d * q4kScale(bytes, start, j);
      const offset = 8 * s - dmin * q4kMinimum(bytes, start, j);
      rounded[out + i] = Math.abs(values[out + i]! - offset); // s (q - 8)
      summed[out + i] = rounded[out + i]! + Math.abs(offset);
    }
  }
  return { summed, rounded };
}
