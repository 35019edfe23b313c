// Q3_K as 4 bits in blocks of 16: the three-bit value less 4, stored plus 8, the operator's default zero point, under
// the scale d sc, which is exact in f32.

import { f16At, q3kScale } from "@polyllama/formats";
import { type Packer, quantizedParts, reals } from "./packer.ts";

export const q3_k: Packer = {
  bits: 4,
  block: 16,
  parts: (columns) => quantizedParts(4, 16, columns),
  pack(bytes, [values, scales]) {
    const factors = reals(scales!);
    const out = values!;
    for (let start = 0, block = 0; start < bytes.length; start += 110, block += 16) {
      const d = f16At(bytes, start + 108);
      for (let j = 0; j < 16; j++) factors[block + j] = d * q3kScale(bytes, start, j);
      for (let l = 0; l < 16; l++) {
        const evenThirds = bytes[start + 2 * l]!;
        const oddThirds = bytes[start + 2 * l + 1]!;
        for (let part = 0; part < 8; part++) {
          const low = start + 32 + (part >> 2) * 32 + 2 * l;
          const shift = 2 * (part & 3);
          const even = ((bytes[low]! >> shift) & 3) | (((evenThirds >> part) & 1) << 2);
          const odd = ((bytes[low + 1]! >> shift) & 3) | (((oddThirds >> part) & 1) << 2);
          out[block * 8 + part * 16 + l] = (even + 4) | ((odd + 4) << 4);
        }
      }
    }
  },
};
