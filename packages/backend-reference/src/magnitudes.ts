// What a rounding error of `linear` is relative to: the sizes of the weights, or of the parts that a backend keeps
// apart.

import type { RealArray } from "@polyllama/core";
import { formats, offsetFormats } from "@polyllama/formats";
import type { Rounding } from "./bounds.ts";
import type { LoadedWeight } from "./loaded-weight.ts";

/** Sizes of what is multiplied with each input in f32, and of what is multiplied with inputs rounded to int8. */
export function magnitudes(
  { info, values, bytes }: LoadedWeight,
  { apartOffsets }: Rounding,
): { readonly summed: RealArray; readonly rounded: RealArray } {
  const apart = apartOffsets?.find((format) => format === info.format);
  if (apart === undefined) {
    const whole = values.map(Math.abs);
    return { summed: whole, rounded: whole };
  }
  const summed = new Float32Array(values.length);
  const rounded = new Float32Array(values.length);
  const { subBlock, middle, scale, offset } = offsetFormats[apart];
  const { blockSize, blockBytes } = formats[apart];
  for (let start = 0, out = 0; start < bytes.length; start += blockBytes, out += blockSize) {
    for (let i = out; i < out + blockSize; i++) {
      const j = Math.floor((i - out) / subBlock);
      const common = middle * scale(bytes, start, j) + offset(bytes, start, j); // c s + m
      rounded[i] = Math.abs(values[i]! - common); // s (q - c)
      summed[i] = rounded[i]! + Math.abs(common);
    }
  }
  return { summed, rounded };
}
