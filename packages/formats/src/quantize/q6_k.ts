// Q6_K: 16 sub-blocks of 16 with signed scales, searched for one by one, then rounded to 8 bits under one binary16
// factor, from which the quants follow; the block's bytes are those of ../q6_k.ts.

import { f16Table, numberToF16 } from "../float.ts";
import { searchSymmetric } from "./search.ts";

const subBlock = 16;

/** Quantizes blocks of 256 values into blocks of 210 bytes. */
export function quantizeQ6_K(values: Float32Array, output: Uint8Array): void {
  const scales = new Float64Array(16);
  const quants = new Uint8Array(256);
  for (let start = 0, out = 0; start < values.length; start += 256, out += 210) {
    let extreme = 0;
    for (let j = 0; j < 16; j++) {
      const scale = searchSymmetric(values, start + j * subBlock, subBlock, 32);
      scales[j] = scale;
      if (Math.abs(scale) > Math.abs(extreme)) extreme = scale;
    }
    const half = numberToF16(Math.fround(extreme / -128));
    output[out + 208] = half;
    output[out + 209] = half >> 8;
    const d = f16Table[half]!;
    const steps = extreme === 0 ? 0 : -128 / extreme;
    for (let j = 0; j < 16; j++) {
      const scale = Math.min(127, Math.floor(scales[j]! * steps + 0.5));
      output[out + 192 + j] = scale;
      const s = d * scale;
      const inverse = s === 0 ? 0 : 1 / s;
      for (let i = j * subBlock; i < j * subBlock + subBlock; i++) {
        const t = values[start + i]! * inverse + 32.5;
        quants[i] = Math.max(0, Math.min(63, t));
      }
    }
    for (let half = 0; half < 2; half++) {
      const [from, low, high] = [half * 128, out + half * 64, out + 128 + half * 32];
      for (let l = 0; l < 32; l++) {
        const [a, b, c, e] = [
          quants[from + l]!,
          quants[from + 32 + l]!,
          quants[from + 64 + l]!,
          quants[from + 96 + l]!,
        ];
        output[low + l] = (a & 15) | ((c & 15) << 4);
        output[low + 32 + l] = (b & 15) | ((e & 15) << 4);
        output[high + l] = (a >> 4) | ((b >> 4) << 2) | ((c >> 4) << 4) | ((e >> 4) << 6);
      }
    }
  }
}
