// Q4_1: 32 values as a binary16 scale, a binary16 offset and 16 bytes of two nibbles, in the order of Q4_0.
//   bytes 0-1 d, 2-3 m, 4-19 q;  value i = d q[i] + m

import { blockSizes } from "@polyllama/core";
import type { Format } from "./format.ts";
import { f16At, findNonFiniteScale } from "./scales.ts";

export const q4_1: Format = {
  name: "q4_1",
  ggmlType: 3,
  ...blockSizes.q4_1,
  dequantize(bytes, output) {
    for (let start = 0, out = 0; start < bytes.length; start += 20, out += 32) {
      const d = f16At(bytes, start);
      const m = f16At(bytes, start + 2);
      for (let i = 0; i < 16; i++) {
        const pair = bytes[start + 4 + i]!;
        output[out + i] = d * (pair & 15) + m;
        output[out + 16 + i] = d * (pair >> 4) + m;
      }
    }
  },
  findNonFinite: (bytes) => findNonFiniteScale(bytes, 20, [0, 2]),
};
