// Q6_K as 8 bits in blocks of 16: the six-bit value less 32, shifted to the operator's default zero point of 128, under
// the scale d sc, which is exact in f32.

import { f16At } from "@polyllama/formats";
import { type Packer, quantizedParts, reals } from "./packer.ts";

export const q6_k: Packer = {
  bits: 8,
  block: 16,
  parts: (columns) => quantizedParts(8, 16, columns),
  pack(bytes, [values, scales]) {
    const factors = reals(scales!);
    const out = values!;
    for (let start = 0, block = 0; start < bytes.length; start += 210, block += 16) {
      const d = f16At(bytes, start + 208);
      for (let j = 0; j < 16; j++) factors[block + j] = d * ((bytes[start + 192 + j]! << 24) >> 24);
      for (let half = 0; half < 2; half++) {
        const low = start + half * 64;
        const high = start + 128 + half * 32;
        const byte = block * 16 + half * 128;
        for (let l = 0; l < 32; l++) {
          const first = bytes[low + l]!;
          const second = bytes[low + 32 + l]!;
          const top = bytes[high + l]!;
          out[byte + l] = ((first & 15) | ((top & 3) << 4)) + 96;
          out[byte + 32 + l] = ((second & 15) | ((top & 12) << 2)) + 96;
          out[byte + 64 + l] = ((first >> 4) | (top & 48)) + 96;
          out[byte + 96 + l] = ((second >> 4) | ((top & 192) >> 2)) + 96;
        }
      }
    }
  },
};
