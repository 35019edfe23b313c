// Q4_1: see range.ts; the block's bytes are those of ../q4_1.ts.

import { quantizeRange } from "./range.ts";

/** Quantizes blocks of 32 values into blocks of 20 bytes. */
export function quantizeQ4_1(values: Float32Array, output: Uint8Array): void {
  const quants = new Uint8Array(32);
  for (let start = 0, out = 0; start < values.length; start += 32, out += 20) {
    const halves = quantizeRange(values, start, 15, quants);
    for (let k = 0; k < 4; k++) output[out + k] = halves >>> (8 * k);
    for (let i = 0; i < 16; i++) output[out + 4 + i] = quants[i]! | (quants[16 + i]! << 4);
  }
}
