// Q2_K as 4 bits in blocks of 16 and a small f32 matrix, as in q4_k.ts: s q - m is s (q - 2) + (2 s - m), and q - 2 is
// stored plus 8, the operator's default zero point. ONNX Runtime has no fast product of 2 bits in blocks this small.

import { f16At } from "@polyllama/formats";
import { offsetsPart, type Packer, quantizedParts, reals } from "./packer.ts";

export const q2_k: Packer = {
  bits: 4,
  block: 16,
  parts: (columns) => [...quantizedParts(4, 16, columns), offsetsPart(16, columns)],
  pack(bytes, [values, scales, offsets]) {
    const factors = reals(scales!);
    const sums = reals(offsets!);
    const out = values!;
    for (let start = 0, block = 0; start < bytes.length; start += 84, block += 16) {
      const d = f16At(bytes, start + 80);
      const dmin = f16At(bytes, start + 82);
      for (let j = 0; j < 16; j++) {
        const pair = bytes[start + j]!;
        const factor = d * (pair & 15);
        factors[block + j] = factor;
        sums[block + j] = 2 * factor - dmin * (pair >> 4);
      }
      for (let half = 0; half < 2; half++) {
        const quants = start + 16 + half * 32;
        for (let l = 0; l < 16; l++) {
          const even = bytes[quants + 2 * l]!;
          const odd = bytes[quants + 2 * l + 1]!;
          for (let quarter = 0; quarter < 4; quarter++) {
            const shift = 2 * quarter;
            const byte = block * 8 + half * 64 + quarter * 16 + l;
            out[byte] = (((even >> shift) & 3) + 6) | ((((odd >> shift) & 3) + 6) << 4);
          }
        }
      }
    }
  },
};
