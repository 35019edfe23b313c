// Q5_1 as 8 bits in blocks of 32 and a small f32 matrix, as in q4_k.ts: d q + m is d (q - 16) + (16 d + m).

import { f16At } from "@polyllama/formats";
import { offsetsPart, type Packer, quantizedParts, reals } from "./packer.ts";
import { unpackFiveBits } from "./q5_0.ts";

export const q5_1: Packer = {
  bits: 8,
  block: 32,
  parts: (columns) => [...quantizedParts(8, 32, columns), offsetsPart(32, columns)],
  pack(bytes, [values, scales, offsets]) {
    const factors = reals(scales!);
    const sums = reals(offsets!);
    for (let block = 0, start = 0; block < factors.length; block++, start += 24) {
      const d = f16At(bytes, start);
      factors[block] = d;
      sums[block] = 16 * d + f16At(bytes, start + 2);
      unpackFiveBits(bytes, start + 4, values!, block * 32);
    }
  },
};
