// Q8_K as 8 bits in blocks of 32, eight of which share a scale, with signed values shifted to the operator's default
// zero point of 128. Exact. Blocks of 256 would round the input more coarsely.

import { q8kScale } from "@polyllama/formats";
import { type Packer, quantizedParts, reals } from "./packer.ts";

export const q8_k: Packer = {
  bits: 8,
  block: 32,
  parts: (columns) => quantizedParts(8, 32, columns),
  pack(bytes, [values, scales]) {
    const factors = reals(scales!);
    const out = values!;
    for (let start = 0, byte = 0; start < bytes.length; start += 292, byte += 256) {
      factors.fill(q8kScale(bytes, start), byte / 32, byte / 32 + 8);
      for (let i = 0; i < 256; i++) out[byte + i] = bytes[start + 4 + i]! ^ 0x80;
    }
  },
};
