// Q4_1 and Q5_1 as ggml's reference quantizes them: the block's range from least to largest value in equal steps, quant
// 0 at the least value. All arithmetic is f32 (Math.fround stands where a C float is stored).

import { numberToF16 } from "../float.ts";

/** Quants of the 32 values from `start` on, and the scale and offset as binary16, which are returned as one word. */
export function quantizeRange(values: Float32Array, start: number, most: number, quants: Uint8Array): number {
  let least = values[start]!;
  let largest = least;
  for (let i = start + 1; i < start + 32; i++) {
    const value = values[i]!;
    if (value < least) least = value;
    if (value > largest) largest = value;
  }
  const scale = Math.fround(Math.fround(largest - least) / most);
  const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
  for (let i = 0; i < 32; i++) {
    const x = Math.fround(Math.fround(values[start + i]! - least) * inverse);
    const quant = Math.fround(x + 0.5) | 0;
    quants[i] = Math.min(most, quant);
  }
  return numberToF16(scale) | (numberToF16(least) << 16);
}
