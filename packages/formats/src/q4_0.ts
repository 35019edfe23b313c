// Q4_0: 32 values as one binary16 scale and 16 bytes of two nibbles; the low nibbles are values 0-15, the high 16-31.
//   bytes 0-1 d, bytes 2-17 q;  value i = d (q[i] - 8)

import { blockSizes } from "@polyllama/core";
import type { Format } from "./format.ts";
import { f16At, findNonFiniteScale } from "./scales.ts";

export const q4_0: Format = {
  name: "q4_0",
  ggmlType: 2,
  ...blockSizes.q4_0,
  dequantize(bytes, output) {
    for (let start = 0, out = 0; start < bytes.length; start += 18, out += 32) {
      const d = f16At(bytes, start);
      for (let i = 0; i < 16; i++) {
        const pair = bytes[start + 2 + i]!;
        output[out + i] = d * ((pair & 15) - 8);
        output[out + 16 + i] = d * ((pair >> 4) - 8);
      }
    }
  },
  findNonFinite: (bytes) => findNonFiniteScale(bytes, 18, [0]),
};
