// Q5_K as 8 bits in blocks of 32 and a small f32 matrix, as in q4_k.ts: s q - m is s (q - 16) + (16 s - m).

import { f16At, q4kMinimum, q4kScale } from "@polyllama/formats";
import { offsetsPart, type Packer, quantizedParts, reals } from "./packer.ts";

export const q5_k: Packer = {
  bits: 8,
  block: 32,
  parts: (columns) => [...quantizedParts(8, 32, columns), offsetsPart(32, columns)],
  pack(bytes, [values, scales, offsets]) {
    const factors = reals(scales!);
    const sums = reals(offsets!);
    const out = values!;
    for (let start = 0, block = 0; start < bytes.length; start += 176, block += 8) {
      const d = f16At(bytes, start);
      const dmin = f16At(bytes, start + 2);
      for (let j = 0; j < 8; j++) {
        const scale = d * q4kScale(bytes, start, j);
        factors[block + j] = scale;
        sums[block + j] = 16 * scale - dmin * q4kMinimum(bytes, start, j);
      }
      for (let pair = 0; pair < 4; pair++) {
        const low = start + 48 + pair * 32; // low nibbles: block 2 pair; high nibbles: the next
        const byte = (block + 2 * pair) * 32;
        for (let i = 0; i < 32; i++) {
          const nibbles = bytes[low + i]!;
          const fifths = bytes[start + 16 + i]! >> (2 * pair);
          out[byte + i] = ((nibbles & 15) | ((fifths & 1) << 4)) + 112;
          out[byte + 32 + i] = ((nibbles >> 4) | ((fifths & 2) << 3)) + 112;
        }
      }
    }
  },
};
