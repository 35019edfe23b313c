// Q5_K: see nested.ts; the block's bytes are those of ../q5_k.ts.

import { quantizeNested } from "./nested.ts";
import { putNibbles } from "./q4_k.ts";
import type { Candidates } from "./search.ts";

const candidates: Candidates = { most: 31, first: -0.5, step: 0.1, count: 15 };

/** Quantizes blocks of 256 values into blocks of 176 bytes. */
export function quantizeQ5_K(values: Float32Array, output: Uint8Array): void {
  const quants = new Uint8Array(256);
  for (let start = 0, out = 0; start < values.length; start += 256, out += 176) {
    quantizeNested(values, start, candidates, output, out, quants);
    for (let i = 0; i < 32; i++) {
      let fifths = 0;
      for (let j = 0; j < 8; j++) fifths |= (quants[j * 32 + i]! >> 4) << j;
      output[out + 16 + i] = fifths;
    }
    putNibbles(quants, output, out + 48);
  }
}
