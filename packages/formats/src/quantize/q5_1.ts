// Q5_1: see range.ts; the block's bytes are those of ../q5_1.ts.

import { putFiveBits } from "./q5_0.ts";
import { quantizeRange } from "./range.ts";

/** Quantizes blocks of 32 values into blocks of 24 bytes. */
export function quantizeQ5_1(values: Float32Array, output: Uint8Array): void {
  const quants = new Uint8Array(32);
  for (let start = 0, out = 0; start < values.length; start += 32, out += 24) {
    const halves = quantizeRange(values, start, 31, quants);
    for (let k = 0; k < 4; k++) output[out + k] = halves >>> (8 * k);
    putFiveBits(quants, output, out + 4);
  }
}
