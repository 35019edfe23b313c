// Q5_0 as ggml's reference quantizes it: as Q4_0, with the value of largest magnitude at quant 0, that is -16.

import { numberToF16 } from "../float.ts";

/** Quantizes blocks of 32 values into blocks of 22 bytes. */
export function quantizeQ5_0(values: Float32Array, output: Uint8Array): void {
  const quants = new Uint8Array(32);
  for (let start = 0, out = 0; start < values.length; start += 32, out += 22) {
    let largest = 0;
    let extreme = 0;
    for (let i = start; i < start + 32; i++) {
      const value = values[i]!;
      const magnitude = Math.abs(value);
      if (largest < magnitude) {
        largest = magnitude;
        extreme = value;
      }
    }
    const scale = Math.fround(extreme / -16);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    const half = numberToF16(scale);
    output[out] = half;
    output[out + 1] = half >> 8;
    for (let i = 0; i < 32; i++) {
      const quant = Math.fround(Math.fround(values[start + i]! * inverse) + 16.5) | 0;
      quants[i] = Math.min(31, quant);
    }
    putFiveBits(quants, output, out + 2);
  }
}

/** Writes 32 quants as four bytes of fifth bits and 16 bytes of two nibbles. */
export function putFiveBits(quants: Uint8Array, output: Uint8Array, at: number): void {
  let fifths = 0;
  for (let i = 0; i < 16; i++) {
    const low = quants[i]!;
    const high = quants[16 + i]!;
    output[at + 4 + i] = (low & 15) | ((high & 15) << 4);
    fifths |= ((low >> 4) << i) | ((high >> 4) << (i + 16));
  }
  for (let k = 0; k < 4; k++) output[at + k] = fifths >>> (8 * k);
}
