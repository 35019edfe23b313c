// How keys and values lie in a pool: block by block, and in a block for every attention keys [G, d, 32] and then values
// [G, 32, d]; in q8_0 the bytes of a head are followed by its scales [d / 32, 32], in f16. A block is one run of bytes, so that it is copied, exported and imported as one.

import type { CacheFormat } from "@polyllama/core";
import type { CacheSpec } from "@polyllama/core/device";
import { kvBlockRows } from "../modes.ts";

/** Bytes of an element at all positions of a block. In q8_0 32 elements share a scale of two bytes. */
const lineBytes: Readonly<Record<CacheFormat, number>> = {
  f32: 4 * kvBlockRows,
  f16: 2 * kvBlockRows,
  bf16: 2 * kvBlockRows,
  q8_0: kvBlockRows + (2 * kvBlockRows) / 32,
};

/** Blocks for so many positions. */
export function blocksFor(positions: number): number {
  return Math.ceil(positions / kvBlockRows);
}

/** Bytes of a block. */
export function blockBytes(spec: CacheSpec, format: CacheFormat): number {
  const values = spec.reduce((sum, { kvHeads, headDim }) => sum + 2 * kvHeads * headDim, 0);
  return values * lineBytes[format];
}
