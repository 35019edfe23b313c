// Q5_1: 32 values as a binary16 scale, a binary16 offset, their fifth bits and 16 bytes of two nibbles, as Q5_0 has
// them.
//   bytes 0-1 d, 2-3 m, 4-7 fifth bits, 8-23 q;  value i = d q[i] + m

import { blockSizes } from "@polyllama/core";
import type { Format } from "./format.ts";
import { q5Quant } from "./q5_0.ts";
import { f16At, findNonFiniteScale } from "./scales.ts";

export const q5_1: Format = {
  name: "q5_1",
  ggmlType: 7,
  ...blockSizes.q5_1,
  dequantize(bytes, output) {
    for (let start = 0, out = 0; start < bytes.length; start += 24, out += 32) {
      const d = f16At(bytes, start);
      const m = f16At(bytes, start + 2);
      for (let i = 0; i < 32; i++) output[out + i] = d * q5Quant(bytes, start + 4, i) + m;
    }
  },
  findNonFinite: (bytes) => findNonFiniteScale(bytes, 24, [0, 2]),
};
