// Q4_K as 4 bits in blocks of 32 and a small f32 matrix. A value is s q - m with s = d sc and m = dmin min, which is
// s (q - 8) + (8 s - m): the first term has the operator's default zero point, the second is the same for the whole
// block, so it multiplies the block's sum of x:
//   W x = MatMulNBits(q, s) x + offsets blockSums(x),  offsets = 8 s - m  [rows, blocks]
// s and m are exact in f32 (11 and 6 bits); the difference is rounded once.

import { f16At, q4kMinimum, q4kScale } from "@polyllama/formats";
import { offsetsPart, type Packer, quantizedParts, reals } from "./packer.ts";

export const q4_k: Packer = {
  bits: 4,
  block: 32,
  parts: (columns) => [...quantizedParts(4, 32, columns), offsetsPart(32, columns)],
  pack(bytes, [values, scales, offsets]) {
    const factors = reals(scales!);
    const sums = reals(offsets!);
    const out = values!;
    for (let start = 0, block = 0; start < bytes.length; start += 144, block += 8) {
      const d = f16At(bytes, start);
      const dmin = f16At(bytes, start + 2);
      for (let j = 0; j < 8; j++) {
        const scale = d * q4kScale(bytes, start, j);
        factors[block + j] = scale;
        sums[block + j] = 8 * scale - dmin * q4kMinimum(bytes, start, j);
      }
      for (let pair = 0; pair < 4; pair++) {
        const quants = start + 16 + pair * 32; // low nibbles: block 2 pair; high nibbles: the next
        const byte = (block + 2 * pair) * 16;
        for (let i = 0; i < 16; i++) {
          const even = bytes[quants + 2 * i]!;
          const odd = bytes[quants + 2 * i + 1]!;
          out[byte + i] = (even & 15) | ((odd & 15) << 4);
          out[byte + 16 + i] = (even >> 4) | (odd & 0xf0);
        }
      }
    }
  },
};
