// Q2_K: 256 values in 16 sub-blocks of 16, each with a 4-bit scale and a 4-bit minimum, under two binary16 factors.
//   bytes 0-15 scales (low nibbles) and minimums (high nibbles), 16-79 q, 80-81 d, 82-83 dmin
//   value i of sub-block j = d sc[j] q[i] - dmin m[j]
// Within each half of 128 values, byte l (0-31) of q serves values l, l + 32, l + 64, l + 96, lowest bits first.

import { blockSizes } from "@polyllama/core";
import type { Format } from "./format.ts";
import { f16At, findNonFiniteScale } from "./scales.ts";

/** Quant of value i, 0 to 3; `start` is the block's first byte. */
function q2kQuant(bytes: Uint8Array, start: number, i: number): number {
  return (bytes[start + 16 + (i >> 7) * 32 + (i & 31)]! >> (((i >> 5) & 3) * 2)) & 3;
}

export const q2_k: Format = {
  name: "q2_k",
  ggmlType: 10,
  ...blockSizes.q2_k,
  dequantize(bytes, output) {
    for (let start = 0, out = 0; start < bytes.length; start += 84, out += 256) {
      const d = f16At(bytes, start + 80);
      const dmin = f16At(bytes, start + 82);
      for (let j = 0; j < 16; j++) {
        const factors = bytes[start + j]!;
        const scale = d * (factors & 15);
        const minimum = dmin * (factors >> 4);
        for (let i = j * 16; i < j * 16 + 16; i++) output[out + i] = scale * q2kQuant(bytes, start, i) - minimum;
      }
    }
  },
  findNonFinite: (bytes) => findNonFiniteScale(bytes, 84, [80, 82]),
};
