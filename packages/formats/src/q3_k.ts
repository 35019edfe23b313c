// Q3_K: 256 values in 16 sub-blocks of 16, each with a signed 6-bit scale, under one binary16 factor.
//   bytes 0-31 third bits, 32-95 low two bits, 96-107 scales, 108-109 d
//   value i of sub-block j = d sc[j] (q[i] - 4)
// The low bits lie as in Q2_K. Bit b of byte l of the third bits serves value 32 b + l. Scales are stored plus 32: low
// four bits as the nibbles of the first eight bytes, high two bits in the last four.

import { blockSizes } from "@polyllama/core";
import type { Format } from "./format.ts";
import { f16At, findNonFiniteScale } from "./scales.ts";

/** Scale of sub-block j, -32 to 31; `start` is the block's first byte. */
export function q3kScale(bytes: Uint8Array, start: number, j: number): number {
  const low = (bytes[start + 96 + (j & 7)]! >> ((j >> 3) * 4)) & 15;
  const high = (bytes[start + 104 + (j & 3)]! >> ((j >> 2) * 2)) & 3;
  return (low | (high << 4)) - 32;
}

/** Quant of value i, 0 to 7. */
function q3kQuant(bytes: Uint8Array, start: number, i: number): number {
  const low = (bytes[start + 32 + (i >> 7) * 32 + (i & 31)]! >> (((i >> 5) & 3) * 2)) & 3;
  return low | (((bytes[start + (i & 31)]! >> (i >> 5)) & 1) << 2);
}

export const q3_k: Format = {
  name: "q3_k",
  ggmlType: 11,
  ...blockSizes.q3_k,
  dequantize(bytes, output) {
    for (let start = 0, out = 0; start < bytes.length; start += 110, out += 256) {
      const d = f16At(bytes, start + 108);
      for (let j = 0; j < 16; j++) {
        const scale = d * q3kScale(bytes, start, j);
        for (let i = j * 16; i < j * 16 + 16; i++) output[out + i] = scale * (q3kQuant(bytes, start, i) - 4);
      }
    }
  },
  findNonFinite: (bytes) => findNonFiniteScale(bytes, 110, [108]),
};
