// Q8_0: 32 values as one binary16 scale and 32 signed bytes.
//   bytes 0-1 d, bytes 2-33 q;  value i = d q[i]

import { blockSizes } from "@polyllama/core";
import type { Format } from "./format.ts";
import { f16At, findNonFiniteScale } from "./scales.ts";

export const q8_0: Format = {
  name: "q8_0",
  ggmlType: 8,
  ...blockSizes.q8_0,
  dequantize(bytes, output) {
    for (let start = 0, out = 0; start < bytes.length; start += 34, out += 32) {
      const d = f16At(bytes, start);
      for (let i = 0; i < 32; i++) output[out + i] = d * ((bytes[start + 2 + i]! << 24) >> 24);
    }
  },
  findNonFinite: (bytes) => findNonFiniteScale(bytes, 34, [0]),
};
