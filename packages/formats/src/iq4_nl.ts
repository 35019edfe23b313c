// IQ4_NL: 32 values as one binary16 scale and 16 bytes of two nibbles, in the order of Q4_0; a nibble is a place in a
// table of 16 levels that lie closer together near zero.
//   bytes 0-1 d, bytes 2-17 q;  value i = d table[q[i]]

import { blockSizes } from "@polyllama/core";
import type { Format } from "./format.ts";
import { f16At, findNonFiniteScale } from "./scales.ts";

/** The 16 levels, as in ggml. */
export const iq4nlValues: Int8Array = Int8Array.of(
  -127,
  -104,
  -83,
  -65,
  -49,
  -35,
  -22,
  -10,
  1,
  13,
  25,
  38,
  53,
  69,
  89,
  113,
);

export const iq4_nl: Format = {
  name: "iq4_nl",
  ggmlType: 20,
  ...blockSizes.iq4_nl,
  dequantize(bytes, output) {
    for (let start = 0, out = 0; start < bytes.length; start += 18, out += 32) {
      const d = f16At(bytes, start);
      for (let i = 0; i < 16; i++) {
        const pair = bytes[start + 2 + i]!;
        output[out + i] = d * iq4nlValues[pair & 15]!;
        output[out + 16 + i] = d * iq4nlValues[pair >> 4]!;
      }
    }
  },
  findNonFinite: (bytes) => findNonFiniteScale(bytes, 18, [0]),
};
