// Q4_0 as ggml's reference quantizes it: the value of largest magnitude, sign included, becomes quant 0, that is -8; so
// the scale is that value over -8. All arithmetic is f32 (Math.fround stands where a C float is stored).

import { numberToF16 } from "../float.ts";

/** Quantizes blocks of 32 values into blocks of 18 bytes. */
export function quantizeQ4_0(values: Float32Array, output: Uint8Array): void {
  for (let start = 0, out = 0; start < values.length; start += 32, out += 18) {
    let largest = 0;
    let extreme = 0;
    for (let i = 0; i < 32; i++) {
      const value = values[start + i]!;
      const magnitude = Math.abs(value);
      if (largest < magnitude) {
        largest = magnitude;
        extreme = value;
      }
    }
    const scale = Math.fround(extreme / -8);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    const half = numberToF16(scale);
    output[out] = half;
    output[out + 1] = half >> 8;
    for (let i = 0; i < 16; i++) {
      const low = quant(values[start + i]!, inverse);
      const high = quant(values[start + 16 + i]!, inverse);
      output[out + 2 + i] = low | (high << 4);
    }
  }
}

function quant(value: number, inverse: number): number {
  return Math.min(15, Math.fround(Math.fround(value * inverse) + 8.5) | 0);
}
