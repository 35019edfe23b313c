// Q4_0 as 4 bits in blocks of 32. ggml pairs value i with i + 16 in a byte, ONNX Runtime 2i with 2i + 1; the zero
// point, 8, is the operator's own default. Exact: values and scales stay what they were.

import { f16Table, words16 } from "@polyllama/formats";
import { type Packer, quantizedParts, reals } from "./packer.ts";

export const q4_0: Packer = {
  bits: 4,
  block: 32,
  parts: (columns) => quantizedParts(4, 32, columns),
  pack(bytes, [values, scales]) {
    const words = words16(bytes); // 9 a block: the scale and 8 pairs of bytes
    const factors = reals(scales!);
    const out = values!;
    for (let block = 0, word = 0, byte = 0; block < factors.length; block++, word += 9, byte += 16) {
      factors[block] = f16Table[words[word]!]!;
      for (let i = 0; i < 8; i++) {
        const pair = words[word + 1 + i]!; // low nibbles: values 2i and 2i + 1; high nibbles: 16 + 2i and 17 + 2i
        out[byte + i] = (pair & 15) | ((pair >> 4) & 0xf0);
        out[byte + 8 + i] = ((pair >> 4) & 15) | ((pair >> 8) & 0xf0);
      }
    }
  },
};
