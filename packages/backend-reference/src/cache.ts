// Keys and values of one sequence in float64, one pair of arrays per attention of the graph, which grow as they fill.

import { type AttentionNode, type KvCache, PolyllamaError } from "@polyllama/core";
import type { KeysAndValues } from "./ops/attention.ts";

type Widths = readonly Pick<AttentionNode, "kvHeads" | "headDim">[];

export class ReferenceCache implements KvCache {
  readonly capacity: number;
  readonly bytes: number;
  length = 0;
  /** A run is using this cache. */
  busy = false;
  private disposed = false;
  private readonly attentions: Widths;
  private entries: readonly { k: Float64Array; v: Float64Array }[];

  constructor(attentions: Widths, capacity: number) {
    if (!Number.isSafeInteger(capacity) || capacity < 1) {
      throw new PolyllamaError("ERR_OPTION", `A cache's capacity must be a positive integer, not ${capacity}.`);
    }
    this.capacity = capacity;
    this.attentions = attentions;
    this.bytes = attentions.reduce((sum, { kvHeads, headDim }) => sum + 16 * kvHeads * headDim * capacity, 0);
    this.entries = attentions.map(() => ({ k: new Float64Array(0), v: new Float64Array(0) }));
  }

  /** Writes rows of k and v from position `start` on and returns all up to there. Rows from `length` on are not yet part of the cache. */
  write(attention: number, start: number, k: Float64Array, v: Float64Array): KeysAndValues {
    const entry = this.entries[attention]!;
    const end = start * this.width(attention) + k.length;
    if (end > entry.k.length) {
      const size = Math.min(Math.max(end, 2 * entry.k.length), this.capacity * this.width(attention));
      entry.k = grown(entry.k, size);
      entry.v = grown(entry.v, size);
    }
    entry.k.set(k, end - k.length);
    entry.v.set(v, end - v.length);
    return { k: entry.k.subarray(0, end), v: entry.v.subarray(0, end) };
  }

  truncate(length: number): void {
    this.claimable();
    if (!Number.isSafeInteger(length) || length < 0 || length > this.length) {
      throw new PolyllamaError("ERR_OPTION", `A cache of length ${this.length} cannot be truncated to ${length}.`);
    }
    this.length = length;
  }

  fork(): Promise<KvCache> {
    this.claimable();
    const copy = new ReferenceCache(this.attentions, this.capacity);
    copy.length = this.length;
    copy.entries = this.entries.map(({ k, v }, i) => {
      const used = this.length * this.width(i);
      return { k: k.slice(0, used), v: v.slice(0, used) };
    });
    return Promise.resolve(copy);
  }

  /** @throws {PolyllamaError} `ERR_DISPOSED`, `ERR_BUSY` */
  claimable(): void {
    if (this.disposed) throw new PolyllamaError("ERR_DISPOSED", "This cache was disposed.");
    if (this.busy)
      throw new PolyllamaError("ERR_BUSY", "This cache is in use by a run; await it first, or fork the cache.");
  }

  [Symbol.dispose](): void {
    this.disposed = true;
    this.entries = [];
  }

  private width(attention: number): number {
    const { kvHeads, headDim } = this.attentions[attention]!;
    return kvHeads * headDim;
  }
}

function grown(array: Float64Array, size: number): Float64Array {
  const larger = new Float64Array(size);
  larger.set(array);
  return larger;
}
