// Q8_0 as ggml's reference quantizes it: the scale is the block's largest magnitude over 127, quants are rounded half
// away from zero, and all arithmetic is f32 (Math.fround stands where a C float is stored).

import { numberToF16 } from "../float.ts";

/** Quantizes blocks of 32 values into blocks of 34 bytes. */
export function quantizeQ8_0(values: Float32Array, output: Uint8Array): void {
  const quants = new Int8Array(output.buffer, output.byteOffset, output.length);
  for (let start = 0, out = 0; start < values.length; start += 32, out += 34) {
    let largest = 0;
    for (let i = 0; i < 32; i++) {
      const magnitude = Math.abs(values[start + i]!);
      if (largest < magnitude) largest = magnitude;
    }
    const scale = Math.fround(largest / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    const half = numberToF16(scale);
    output[out] = half;
    output[out + 1] = half >> 8;
    for (let i = 0; i < 32; i++) {
      const x = Math.fround(values[start + i]! * inverse);
      const up = ((x + 128.5) | 0) - 128; // halves go up; a branch on the sign would be mispredicted half of the time
      quants[out + 2 + i] = up - x === 0.5 && x < 0 ? up - 1 : up;
    }
  }
}
