// Q8_0 as 8 bits in blocks of 32, with signed values shifted to the operator's default zero point of 128. Exact.

import { f16Table, words16 } from "@polyllama/formats";
import { type Packer, quantizedParts, reals } from "./packer.ts";

export const q8_0: Packer = {
  bits: 8,
  block: 32,
  parts: (columns) => quantizedParts(8, 32, columns),
  pack(bytes, [values, scales]) {
    const words = words16(bytes); // 17 a block: the scale and 16 pairs
    const factors = reals(scales!);
    const out = words16(values!);
    for (let block = 0, word = 0, pair = 0; block < factors.length; block++, word += 17, pair += 16) {
      factors[block] = f16Table[words[word]!]!;
      for (let i = 0; i < 16; i++) out[pair + i] = words[word + 1 + i]! ^ 0x8080;
    }
  },
};
