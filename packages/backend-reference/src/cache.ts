// Keys and values of one sequence in float64, rounded to the cache's format where it has one; a pair of arrays per attention of the
// graph, which grow as they fill.

import { type AttentionNode, type CacheFormat, SequenceCache } from "@polyllama/core";
import { f16Table, numberToBf16, numberToF16 } from "@polyllama/formats";
import type { KeysAndValues } from "./ops/evaluator.ts";

type Widths = readonly Pick<AttentionNode, "kvHeads" | "headDim">[];

export class ReferenceCache extends SequenceCache {
  readonly bytes: number;
  readonly attentions: Widths;
  private readonly format: CacheFormat;
  private entries: readonly { k: Float64Array; v: Float64Array }[];

  /** `f32` keeps numbers as they are. */
  constructor(attentions: Widths, capacity: number, format: CacheFormat = "f32") {
    super(capacity);
    this.attentions = attentions;
    this.format = format;
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
    entry.k.set(rounded(k, this.format), end - k.length);
    entry.v.set(rounded(v, this.format), end - v.length);
    return { k: entry.k.subarray(0, end), v: entry.v.subarray(0, end) };
  }

  protected override empty(): ReferenceCache {
    return new ReferenceCache(this.attentions, this.capacity, this.format);
  }

  protected override async copyTo(copy: ReferenceCache): Promise<void> {
    copy.entries = this.entries.map(({ k, v }, i) => {
      const used = this.length * this.width(i);
      return { k: k.slice(0, used), v: v.slice(0, used) };
    });
  }

  protected override free(): void {
    this.entries = [];
  }

  private width(attention: number): number {
    const { kvHeads, headDim } = this.attentions[attention]!;
    return kvHeads * headDim;
  }
}

function rounded(values: Float64Array, format: CacheFormat): Float64Array {
  switch (format) {
    case "f32":
      return values;
    case "f16":
      return values.map((value) => f16Table[numberToF16(value)]!);
    case "bf16": {
      const bits = new Uint32Array(1);
      const number = new Float32Array(bits.buffer);
      return values.map((value) => {
        bits[0] = numberToBf16(value) << 16;
        return number[0]!;
      });
    }
  }
}

function grown(array: Float64Array, size: number): Float64Array {
  const larger = new Float64Array(size);
  larger.set(array);
  return larger;
}
