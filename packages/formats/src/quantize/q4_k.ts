// Q4_K: see nested.ts; the block's bytes are those of ../q4_k.ts.

import { quantizeNested } from "./nested.ts";
import type { Candidates } from "./search.ts";

const candidates: Candidates = { most: 15, first: -1, step: 0.1, count: 20 };

/** Quantizes blocks of 256 values into blocks of 144 bytes. */
export function quantizeQ4_K(values: Float32Array, output: Uint8Array): void {
  const quants = new Uint8Array(256);
  for (let start = 0, out = 0; start < values.length; start += 256, out += 144) {
    quantizeNested(values, start, candidates, output, out, quants);
    putNibbles(quants, output, out + 16);
  }
}

/** Writes the low four bits of 256 quants: every 32 bytes hold two sub-blocks. */
export function putNibbles(quants: Uint8Array, output: Uint8Array, at: number): void {
  for (let pair = 0; pair < 4; pair++) {
    for (let i = 0; i < 32; i++) {
      output[at + pair * 32 + i] = (quants[pair * 64 + i]! & 15) | ((quants[pair * 64 + 32 + i]! & 15) << 4);
    }
  }
}
