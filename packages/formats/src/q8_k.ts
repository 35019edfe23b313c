// Q8_K: 256 values as one f32 scale, 256 signed bytes, and their sums by 16, which nothing here reads. ggml quantizes
// activations to it; as a format of weights it is rare.
//   bytes 0-3 d, 4-259 q, 260-291 sums as signed 16-bit integers;  value i = d q[i]

import { blockSizes } from "@polyllama/core";
import type { Format } from "./format.ts";

const word = new Uint32Array(1);
const real = new Float32Array(word.buffer);

/** The f32 scale; `start` is the block's first byte. */
export function q8kScale(bytes: Uint8Array, start: number): number {
  word[0] = bytes[start]! | (bytes[start + 1]! << 8) | (bytes[start + 2]! << 16) | (bytes[start + 3]! << 24);
  return real[0]!;
}

export const q8_k: Format = {
  name: "q8_k",
  ggmlType: 15,
  ...blockSizes.q8_k,
  dequantize(bytes, output) {
    for (let start = 0, out = 0; start < bytes.length; start += 292, out += 256) {
      const d = q8kScale(bytes, start);
      for (let i = 0; i < 256; i++) output[out + i] = d * ((bytes[start + 4 + i]! << 24) >> 24);
    }
  },
  // A finite f32 scale can still overflow with its quants, from 2^121 times -128 on.
  findNonFinite(bytes) {
    for (let start = 0, block = 0; start < bytes.length; start += 292, block++) {
      const d = q8kScale(bytes, start);
      if (Math.abs(d) < 2 ** 121) continue;
      for (let i = 0; i < 256; i++) {
        if (!Number.isFinite(Math.fround(d * ((bytes[start + 4 + i]! << 24) >> 24)))) return block;
      }
    }
    return -1;
  },
};
