// Keys and values in blocks. A pool is one allocation of blocks of `blockRows` positions; a sequence holds a list of
// them. A fork shares its blocks, which are copied when one of the two writes into them (PagedAttention: Kwon et al.,
// SOSP 2023).

import { blockSizes } from "../formats.ts";
import type { Graph } from "../graph.ts";
import type { AttentionNode } from "../ops/attention.ts";

/** Those that devices may keep keys and values in; each says which it does. */
export const cacheFormats = ["f32", "f16", "bf16", "q8_0"] as const;

/**
 * Format in which keys and values are kept. `q8_0`: each 32 elements of a head at a position as int8 times a scale, which
 * is their largest size / 127, rounded to f16; an element is its quotient by the scale, rounded to the nearest of -127 to
 * 127. Heads are a multiple of 32 then.
 */
export type CacheFormat = (typeof cacheFormats)[number];

/** Shapes of keys and values of a graph's attentions, in the graph's order. */
export type CacheSpec = readonly Pick<AttentionNode, "kvHeads" | "headDim">[];

/** What the attentions of a graph keep. */
export function cacheSpec(graph: Graph): CacheSpec {
  const attentions: readonly AttentionNode[] = graph.nodes.filter((node) => node.op === "attention");
  return attentions.map(({ kvHeads, headDim }) => ({ kvHeads, headDim }));
}

/** Bytes of keys and values of a sequence, without what blocks have beyond its last position. */
export function cacheBytes(spec: CacheSpec, format: CacheFormat, positions: number): number {
  const { blockSize, blockBytes } = blockSizes[format];
  const values = spec.reduce((sum, { kvHeads, headDim }) => sum + 2 * kvHeads * headDim, 0);
  return (values * positions * blockBytes) / blockSize;
}

/** Whether caches of one spec serve graphs of the other. */
export function sameCacheSpec(a: CacheSpec, b: CacheSpec): boolean {
  return (
    a.length === b.length &&
    a.every(({ kvHeads, headDim }, i) => kvHeads === b[i]!.kvHeads && headDim === b[i]!.headDim)
  );
}

/**
 * KV blocks. Its contents belong to one version of one set of parameters and one adapter: whoever changes either starts
 * sequences anew. `open`, `fork`, `truncate` and dispose take effect in the order in which they are called among
 * submitted steps.
 */
export interface CachePool extends Disposable {
  readonly spec: CacheSpec;
  readonly format: CacheFormat;
  /** Positions of a block. */
  readonly blockRows: number;
  readonly blocks: number;
  /** Blocks that no sequence holds or has reserved. */
  readonly freeBlocks: number;
  /** Memory of the whole pool. */
  readonly bytes: number;
  /**
   * An empty sequence.
   *
   * @param reserve Positions for which blocks are set aside now; default 0, blocks are taken as they are needed.
   * @throws {CacheFullError}; `PolyllamaError` `ERR_DISPOSED`
   */
  open(reserve?: number): SequenceCache;
  /** Free blocks that a step of so many rows would take for a sequence. */
  blocksNeeded(cache: SequenceCache, rows: number): number;
  /**
   * A sequence with what {@link SequenceCache.export} gave, of a pool of the same spec and format.
   *
   * @param reserve As for {@link open}.
   * @throws {CacheFullError}; `PolyllamaError` `ERR_OPTION` for bytes of another spec or format.
   */
  import(bytes: Uint8Array, reserve?: number): Promise<SequenceCache>;
}

/** Keys and values of one sequence. */
export interface SequenceCache extends Disposable {
  readonly pool: CachePool;
  /** Positions, those of submitted steps included. A step that fails takes its positions back. */
  readonly length: number;
  /** Forgets all positions from `length` on. @throws {OptionError}; `PolyllamaError` `ERR_DISPOSED` */
  truncate(length: number): void;
  /**
   * A sequence with the same positions, which shares its blocks until one of the two writes into them.
   *
   * @param reserve Positions, shared ones included, for which blocks are set aside now; default 0.
   * @throws {CacheFullError}; `PolyllamaError` `ERR_DISPOSED`
   */
  fork(reserve?: number): SequenceCache;
  /**
   * The content, when all submitted steps have ended: for hosts' memory and disks. Until it is there, the sequence shares its blocks as
   * with a fork.
   *
   * @throws {UnsupportedError}; `PolyllamaError` `ERR_DISPOSED`
   */
  export(): Promise<Uint8Array>;
}
