// Q6_K: 256 values in 16 sub-blocks of 16, each with a signed byte as scale, under one binary16 factor.
//   bytes 0-127 low four bits, 128-191 high two bits, 192-207 scales, 208-209 d
//   value i of sub-block j = d sc[j] (q[i] - 32)
// Within each half of 128 values, byte l (0-31) of `low` and `low + 32` and of `high` serve values l, l + 32, l + 64,
// l + 96.

import { blockSizes } from "@polyllama/core";
import type { Format } from "./format.ts";
import { f16At, findNonFiniteScale } from "./scales.ts";

export const q6_k: Format = {
  name: "q6_k",
  ggmlType: 14,
  ...blockSizes.q6_k,
  dequantize(bytes, output) {
    for (let start = 0, out = 0; start < bytes.length; start += 210, out += 256) {
      const d = f16At(bytes, start + 208);
      for (let i = 0; i < 256; i++) {
        const scale = (bytes[start + 192 + (i >> 4)]! << 24) >> 24;
        output[out + i] = Math.fround(d * scale) * (q6kQuant(bytes, start, i) - 32);
      }
    }
  },
  findNonFinite: (bytes) => findNonFiniteScale(bytes, 210, [208]),
};

/** Quant of value i, 0 to 63; `start` is the block's first byte. */
function q6kQuant(bytes: Uint8Array, start: number, i: number): number {
  const half = i >> 7;
  const quarter = (i >> 5) & 3;
  const l = i & 31;
  const low = bytes[start + half * 64 + (quarter & 1) * 32 + l]!;
  const high = bytes[start + 128 + half * 32 + l]!;
  return ((low >> ((quarter >> 1) * 4)) & 15) | (((high >> (quarter * 2)) & 3) << 4);
}
