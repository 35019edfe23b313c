// How keys and values lie in a pool: per attention two buffers [blocks][heads][blockRows][padded d], or several of each
// where a binding would be too large: ranges of heads then have their own.

import type { AttentionNode, CacheFormat } from "@polyllama/core";
import type { CacheSpec } from "@polyllama/core/device";

/** Positions of a block: a multiple of the keys that attention takes at once, and a divisor of those of a split. */
export const blockRows = 32;

/** Keys that a workgroup of a split attention goes over. */
export const splitKeys = 128;

/** Key/value heads of an attention that have buffers of their own. */
export interface HeadRange {
  readonly first: number;
  readonly count: number;
}

/** Bytes of one head's key or value. */
export function rowBytes(headDim: number, format: CacheFormat): number {
  return Math.ceil(headDim / 4) * 4 * (format === "f32" ? 4 : 2);
}

/** Blocks for so many positions. */
export function blocksFor(rows: number): number {
  return Math.ceil(rows / blockRows);
}

/** Bytes of a block in all buffers together. */
export function blockBytes(spec: CacheSpec, format: CacheFormat): number {
  return spec.reduce((sum, { kvHeads, headDim }) => sum + 2 * kvHeads * blockRows * rowBytes(headDim, format), 0);
}

/** Keys of a sequence of so many positions in pieces of `splitKeys`, counted from its beginning. */
export function splitsFor(rows: number): number {
  return Math.ceil(rows / splitKeys);
}

/** Bytes of what attention keeps of each split between its two kernels. */
export function partialBytes(attentions: readonly Pick<AttentionNode, "heads" | "headDim">[]): number {
  return attentions.reduce((most, { heads, headDim }) => Math.max(most, heads * (Math.ceil(headDim / 4) + 1) * 16), 0);
}

/** Ranges of heads whose blocks fit a buffer of so many bytes; one head may be too large for it. */
export function headRanges(kvHeads: number, headBytes: number, mostBytes: number): readonly HeadRange[] {
  const heads = Math.max(1, Math.floor(mostBytes / headBytes));
  const ranges: HeadRange[] = [];
  for (let first = 0; first < kvHeads; first += heads) ranges.push({ first, count: Math.min(heads, kvHeads - first) });
  return ranges;
}
