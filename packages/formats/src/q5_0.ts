// Q5_0: 32 values as one binary16 scale, their fifth bits and 16 bytes of two nibbles, in the order of Q4_0.
//   bytes 0-1 d, 2-5 fifth bits (value i in bit i of the little-endian word), 6-21 q;  value i = d (q[i] - 16)

import { blockSizes } from "@polyllama/core";
import type { Format } from "./format.ts";
import { f16At, findNonFiniteScale } from "./scales.ts";

/**
 * Quant of value i, 0 to 31, of Q5_0 or Q5_1; `high` is the first byte of the block's fifth bits, which the nibbles
 * follow.
 */
export function q5Quant(bytes: Uint8Array, high: number, i: number): number {
  const pair = bytes[high + 4 + (i & 15)]!;
  return (i < 16 ? pair & 15 : pair >> 4) | (((bytes[high + (i >> 3)]! >> (i & 7)) & 1) << 4);
}

export const q5_0: Format = {
  name: "q5_0",
  ggmlType: 6,
  ...blockSizes.q5_0,
  dequantize(bytes, output) {
    for (let start = 0, out = 0; start < bytes.length; start += 22, out += 32) {
      const d = f16At(bytes, start);
      for (let i = 0; i < 32; i++) output[out + i] = d * (q5Quant(bytes, start + 2, i) - 16);
    }
  },
  findNonFinite: (bytes) => findNonFiniteScale(bytes, 22, [0]),
};
