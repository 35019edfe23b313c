// Q5_0 as 8 bits in blocks of 32: the five-bit value less 16, shifted to the operator's default zero point of 128.
// Exact.

import { f16At } from "@polyllama/formats";
import { type Packer, quantizedParts, reals } from "./packer.ts";

export const q5_0: Packer = {
  bits: 8,
  block: 32,
  parts: (columns) => quantizedParts(8, 32, columns),
  pack(bytes, [values, scales]) {
    const factors = reals(scales!);
    for (let block = 0, start = 0; block < factors.length; block++, start += 22) {
      factors[block] = f16At(bytes, start);
      unpackFiveBits(bytes, start + 2, values!, block * 32);
    }
  },
};

/** Writes the 32 quants of a block of Q5_0 or Q5_1, less 16 and plus 128; `high` is where the fifth bits start. */
export function unpackFiveBits(bytes: Uint8Array, high: number, output: Uint8Array, at: number): void {
  const fifths = bytes[high]! | (bytes[high + 1]! << 8) | (bytes[high + 2]! << 16) | (bytes[high + 3]! << 24);
  for (let i = 0; i < 16; i++) {
    const pair = bytes[high + 4 + i]!;
    output[at + i] = ((pair & 15) | (((fifths >>> i) & 1) << 4)) + 112;
    output[at + 16 + i] = ((pair >> 4) | (((fifths >>> (i + 16)) & 1) << 4)) + 112;
  }
}
