// Q4_K: 256 values in 8 sub-blocks of 32, each with a 6-bit scale and a 6-bit minimum, under two binary16 factors.
//   bytes 0-1 d, 2-3 dmin, 4-15 scales and minimums, 16-143 q
//   value i of sub-block j = d sc[j] q[i] - dmin m[j]
// Every 32 bytes of q hold two sub-blocks: low nibbles the even one, high nibbles the odd one.

import { blockSizes } from "@polyllama/core";
import type { Format } from "./format.ts";
import { f16At, findNonFiniteScale } from "./scales.ts";

/** Scale of sub-block j; `start` is the block's first byte. */
export function q4kScale(bytes: Uint8Array, start: number, j: number): number {
  const s = start + 4;
  return j < 4 ? bytes[s + j]! & 63 : (bytes[s + j + 4]! & 15) | ((bytes[s + j - 4]! >> 6) << 4);
}

/** Minimum of sub-block j. */
export function q4kMinimum(bytes: Uint8Array, start: number, j: number): number {
  const s = start + 4;
  return j < 4 ? bytes[s + j + 4]! & 63 : (bytes[s + j + 4]! >> 4) | ((bytes[s + j]! >> 6) << 4);
}

export const q4_k: Format = {
  name: "q4_k",
  ggmlType: 12,
  ...blockSizes.q4_k,
  dequantize(bytes, output) {
    for (let start = 0, out = 0; start < bytes.length; start += 144, out += 256) {
      const d = f16At(bytes, start);
      const dmin = f16At(bytes, start + 2);
      for (let j = 0; j < 8; j++) {
        const scale = Math.fround(d * q4kScale(bytes, start, j));
        const minimum = Math.fround(dmin * q4kMinimum(bytes, start, j));
        const quants = start + 16 + (j >> 1) * 32;
        const shift = (j & 1) * 4;
        for (let i = 0; i < 32; i++) {
          output[out + j * 32 + i] = Math.fround(scale * ((bytes[quants + i]! >> shift) & 15)) - minimum;
        }
      }
    }
  },
  findNonFinite: (bytes) => findNonFiniteScale(bytes, 144, [0, 2]),
};
