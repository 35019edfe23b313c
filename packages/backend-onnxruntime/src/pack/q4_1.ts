// Q4_1 as 4 bits in blocks of 32 and a small f32 matrix, as in q4_k.ts: d q + m is d (q - 8) + (8 d + m).

import { f16Table, words16 } from "@polyllama/formats";
import { offsetsPart, type Packer, quantizedParts, reals } from "./packer.ts";

export const q4_1: Packer = {
  bits: 4,
  block: 32,
  parts: (columns) => [...quantizedParts(4, 32, columns), offsetsPart(32, columns)],
  pack(bytes, [values, scales, offsets]) {
    const words = words16(bytes); // 10 a block: scale, offset and 8 pairs of bytes
    const factors = reals(scales!);
    const sums = reals(offsets!);
    const out = values!;
    for (let block = 0, word = 0, byte = 0; block < factors.length; block++, word += 10, byte += 16) {
      const d = f16Table[words[word]!]!;
      factors[block] = d;
      sums[block] = 8 * d + f16Table[words[word + 1]!]!;
      for (let i = 0; i < 8; i++) {
        const pair = words[word + 2 + i]!; // as in Q4_0
        out[byte + i] = (pair & 15) | ((pair >> 4) & 0xf0);
        out[byte + 8 + i] = ((pair >> 4) & 15) | ((pair >> 8) & 0xf0);
      }
    }
  },
};
