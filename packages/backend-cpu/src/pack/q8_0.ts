// Q8_0 as 8 bits in blocks of 32, with signed values shifted to the operator's default zero point of 128. Exact.

import { f16At } from "@polyllama/core";
import { type Packer, quantizedParts, reals } from "./packer.ts";

export const q8_0: Packer = {
  bits: 8,
  block: 32,
  parts: (columns) => quantizedParts(8, 32, columns),
  pack(bytes, [values, scales]) {
    const factors = reals(scales!);
    const out = values!;
    for (let block = 0, start = 0, byte = 0; block < factors.length; block++, start += 34, byte += 32) {
      factors[block] = f16At(bytes, start);
      for (let i = 0; i < 32; i++) out[byte + i] = bytes[start + 2 + i]! ^ 128;
    }
  },
};
