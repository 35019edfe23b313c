// How keys and values lie in a pool: block by block, and in a block for every attention keys [G, d, 32] and then values
// [G, 32, d]. A block is one run of bytes, so that it is copied, exported and imported as one.

import type { CacheFormat } from "@polyllama/core";
import type { CacheSpec } from "@polyllama/core/device";
import { kvBlockRows } from "../modes.ts";

/** Blocks for so many positions. */
export function blocksFor(positions: number): number {
  return Math.ceil(positions / kvBlockRows);
}

/** Bytes of a block. */
export function blockBytes(spec: CacheSpec, format: CacheFormat): number {
  const size = format === "f32" ? 4 : 2;
  return spec.reduce((sum, { kvHeads, headDim }) => sum + 2 * kvHeads * headDim * kvBlockRows * size, 0);
}
