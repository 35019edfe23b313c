// Keys and values of one sequence. For every attention two buffers [heads][capacity][padded d], or several of each where a
// binding would be too large: ranges of heads then have their own. Appending writes in place and rewinding only lowers the length;
// what lies beyond it is never read.

import { type AttentionNode, type CacheFormat, MemoryError, SequenceCache } from "@polyllama/core";
import type { BoundDispatch } from "./bindings.ts";
import { splitKeys } from "./emit/attention.ts";
import type { Grid, HeadRange } from "./emit/dispatch.ts";
import { type Gpu, usage } from "./gpu.ts";

/** What a cache needs of its program. */
export interface CacheOwner {
  readonly gpu: Gpu;
  readonly attentions: readonly AttentionNode[];
  /** Caches alive; the program disposes them with itself. */
  readonly caches: Set<WebGpuKvCache>;
}

export interface CachePart {
  readonly heads: HeadRange;
  readonly keys: GPUBuffer;
  readonly values: GPUBuffer;
}

function rowBytes(headDim: number, format: CacheFormat): number {
  return Math.ceil(headDim / 4) * 4 * (format === "f32" ? 4 : 2);
}

/** Bytes of a full cache. */
export function cacheBytes(attentions: readonly AttentionNode[], capacity: number, format: CacheFormat): number {
  let bytes = 0;
  for (const { kvHeads, headDim } of attentions) bytes += 2 * kvHeads * capacity * rowBytes(headDim, format);
  return bytes + partialBytes(attentions, capacity);
}

/** Intermediate results of attention over splits of the keys. */
function partialBytes(attentions: readonly AttentionNode[], capacity: number): number {
  const splits = Math.ceil(capacity / splitKeys);
  let most = 0;
  for (const { heads, headDim } of attentions)
    most = Math.max(most, heads * splits * (Math.ceil(headDim / 4) + 1) * 16);
  return most;
}

/** A kernel over the cache, and its workgroups for so many rows that start at a position. */
export interface BoundAttention extends BoundDispatch {
  grid(rows: number, start: number): Grid;
}

/** A plan bound to a cache, when the two first meet. */
export interface CacheBinding {
  readonly buffer: GPUBuffer;
  /** By the plan's pieces. */
  readonly pieces: readonly (readonly BoundAttention[])[];
}

export class WebGpuKvCache extends SequenceCache {
  readonly bytes: number;
  readonly format: CacheFormat;
  readonly owner: CacheOwner;
  /** Per attention. */
  readonly parts: readonly (readonly CachePart[])[];
  readonly partials: GPUBuffer;
  /** What the program has bound to it: by plan, then by number of the sequence in the step. */
  readonly bindings: Map<object, CacheBinding[]> = new Map();
  readonly #buffers: GPUBuffer[] = [];
  /** Resolves when the device has granted the memory. */
  readonly ready: Promise<void>;

  constructor(owner: CacheOwner, capacity: number, format: CacheFormat) {
    super(capacity);
    this.owner = owner;
    this.format = format;
    const { gpu, attentions } = owner;
    this.bytes = cacheBytes(attentions, capacity, format);
    const most = Math.min(gpu.limits.maxStorageBufferBindingSize, gpu.limits.maxBufferSize);
    for (const { headDim } of attentions) {
      const row = rowBytes(headDim, format);
      if (capacity * row > most) {
        const what = `A cache of ${capacity} positions, one head of which must fit a binding,`;
        throw new MemoryError(what, capacity * row, most, Math.floor(most / row));
      }
    }
    const available = gpu.memory - gpu.live.bytes;
    if (this.bytes > available) {
      const fitting = Math.floor((capacity * available) / this.bytes);
      throw new MemoryError(
        `A cache of ${capacity} positions`,
        this.bytes,
        available,
        Math.max(0, fitting - splitKeys),
      );
    }
    const make = (label: string, size: number): GPUBuffer => {
      const buffer = gpu.buffer(label, size, usage.storage | usage.copySource | usage.copyTarget);
      this.#buffers.push(buffer);
      return buffer;
    };
    const what = `cache of ${capacity} positions, ${Math.ceil(this.bytes / 2 ** 20)} MiB`;
    const { result, check } = gpu.guarded(what, () => {
      const parts = attentions.map(({ kvHeads, headDim }, index) => {
        const headBytes = capacity * rowBytes(headDim, format);
        const heads = Math.max(1, Math.floor(most / headBytes));
        const ranges: CachePart[] = [];
        for (let first = 0; first < kvHeads; first += heads) {
          const count = Math.min(heads, kvHeads - first);
          ranges.push({
            heads: { first, count },
            keys: make(`keys ${index}`, count * headBytes),
            values: make(`values ${index}`, count * headBytes),
          });
        }
        return ranges;
      });
      return { parts, partials: make("attention splits", partialBytes(attentions, capacity)) };
    });
    this.parts = result.parts;
    this.partials = result.partials;
    this.ready = check;
    owner.caches.add(this);
  }

  protected override empty(): WebGpuKvCache {
    return new WebGpuKvCache(this.owner, this.capacity, this.format);
  }

  /** Copies the rows in use. */
  protected override async copyTo(copy: WebGpuKvCache): Promise<void> {
    await copy.ready;
    const { gpu, attentions } = this.owner;
    await gpu.guard("copy of a cache", () => {
      const encoder = gpu.device.createCommandEncoder({ label: "fork" });
      for (const [index, { headDim }] of attentions.entries()) {
        const row = rowBytes(headDim, this.format);
        for (const [number, part] of this.parts[index]!.entries()) {
          const target = copy.parts[index]![number]!;
          for (let head = 0; head < part.heads.count && this.length > 0; head++) {
            const offset = head * this.capacity * row;
            const size = this.length * row;
            encoder.copyBufferToBuffer(part.keys, offset, target.keys, offset, size);
            encoder.copyBufferToBuffer(part.values, offset, target.values, offset, size);
          }
        }
      }
      gpu.device.queue.submit([encoder.finish()]);
    });
  }

  /** Frees what a plan was bound by. */
  unbind(plan: object): void {
    for (const { buffer } of Object.values(this.bindings.get(plan) ?? [])) this.owner.gpu.free(buffer);
    this.bindings.delete(plan);
  }

  protected override free(): void {
    for (const buffer of this.#buffers) this.owner.gpu.free(buffer);
    for (const plan of [...this.bindings.keys()]) this.unbind(plan);
    this.owner.caches.delete(this);
  }
}
