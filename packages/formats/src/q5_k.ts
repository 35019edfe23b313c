// Q5_K: Q4_K with a fifth bit for every value.
//   bytes 0-1 d, 2-3 dmin, 4-15 scales and minimums as in Q4_K, 16-47 fifth bits, 48-175 low four bits as in Q4_K
//   value i of sub-block j = d sc[j] q[i] - dmin m[j]
// Bit j of byte l of the fifth bits serves value l of sub-block j.

import { blockSizes } from "@polyllama/core";
import type { Format } from "./format.ts";
import { q4kMinimum, q4kScale } from "./q4_k.ts";
import { f16At, findNonFiniteScale } from "./scales.ts";

/** Quant of value i, 0 to 31; `start` is the block's first byte. Scales and minimums are read as Q4_K's. */
function q5kQuant(bytes: Uint8Array, start: number, i: number): number {
  const j = i >> 5;
  const l = i & 31;
  const low = (bytes[start + 48 + (j >> 1) * 32 + l]! >> ((j & 1) * 4)) & 15;
  return low | (((bytes[start + 16 + l]! >> j) & 1) << 4);
}

export const q5_k: Format = {
  name: "q5_k",
  ggmlType: 13,
  ...blockSizes.q5_k,
  dequantize(bytes, output) {
    for (let start = 0, out = 0; start < bytes.length; start += 176, out += 256) {
      const d = f16At(bytes, start);
      const dmin = f16At(bytes, start + 2);
      for (let j = 0; j < 8; j++) {
        const scale = d * q4kScale(bytes, start, j);
        const minimum = dmin * q4kMinimum(bytes, start, j);
        for (let i = j * 32; i < j * 32 + 32; i++) output[out + i] = scale * q5kQuant(bytes, start, i) - minimum;
      }
    }
  },
  findNonFinite: (bytes) => findNonFiniteScale(bytes, 176, [0, 2]),
};
