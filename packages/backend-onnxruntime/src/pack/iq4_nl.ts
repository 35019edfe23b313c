// IQ4_NL as 8 bits in blocks of 32: the levels of its table, shifted to the operator's default zero point of 128.
// Exact.

import { f16At, iq4nlValues } from "@polyllama/formats";
import { type Packer, quantizedParts, reals } from "./packer.ts";

const levels = Uint8Array.from(iq4nlValues, (value) => value + 128);

export const iq4_nl: Packer = {
  bits: 8,
  block: 32,
  parts: (columns) => quantizedParts(8, 32, columns),
  pack(bytes, [values, scales]) {
    const factors = reals(scales!);
    const out = values!;
    for (let block = 0, start = 0, byte = 0; block < factors.length; block++, start += 18, byte += 32) {
      factors[block] = f16At(bytes, start);
      for (let i = 0; i < 16; i++) {
        const pair = bytes[start + 2 + i]!;
        out[byte + i] = levels[pair & 15]!;
        out[byte + 16 + i] = levels[pair >> 4]!;
      }
    }
  },
};
