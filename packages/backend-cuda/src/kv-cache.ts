// Keys and values of one sequence in the card's memory: for every attention keys [G, capacity, d] and then values alike, in f32,
// f16 or bf16. Attention appends in place; rewinding only lowers the length, and what lies beyond it is never read.

import { type AttentionNode, type CacheFormat, SequenceCache } from "@polyllama/core";
import type { Gpu } from "./gpu.ts";
import type { DeviceMemory } from "./memory.ts";

/** What a cache needs of its program. */
export interface CacheOwner {
  readonly gpu: Gpu;
  readonly attentions: readonly AttentionNode[];
  /** Caches alive; the program disposes them with itself. */
  readonly caches: Set<CudaKvCache>;
}

/** @throws {PolyllamaError} `ERR_OPTION` */
/** Bytes of a full cache. */
export function cacheBytes(attentions: readonly AttentionNode[], capacity: number, format: CacheFormat): number {
  const size = format === "f32" ? 4 : 2;
  return attentions.reduce((sum, { kvHeads, headDim }) => sum + 2 * kvHeads * headDim * capacity * size, 0);
}

export class CudaKvCache extends SequenceCache {
  readonly bytes: number;
  readonly format: CacheFormat;
  readonly owner: CacheOwner;
  readonly memory: DeviceMemory;

  /** @throws {MemoryError}; {@link PolyllamaError} `ERR_OPTION` */
  constructor(owner: CacheOwner, capacity: number, format: CacheFormat) {
    super(capacity);
    this.owner = owner;
    this.format = format;
    this.bytes = cacheBytes(owner.attentions, capacity, format);
    this.memory = owner.gpu.allocate(this.bytes, `a cache of ${capacity} positions in ${format}`);
    owner.caches.add(this);
  }

  protected override empty(): CudaKvCache {
    return new CudaKvCache(this.owner, this.capacity, this.format);
  }

  protected override async copyTo({ memory }: CudaKvCache): Promise<void> {
    const { gpu } = this.owner;
    await gpu.turns.run(undefined, async () => {
      for (const { offset, bytes } of this.#used()) {
        gpu.copyOnDevice(memory.address + BigInt(offset), this.memory.address + BigInt(offset), bytes);
      }
      await gpu.finished();
    });
  }

  /** Where positions are that hold something: of each head a run of bytes. */
  *#used(): Generator<{ readonly offset: number; readonly bytes: number }, void, undefined> {
    const size = this.format === "f32" ? 4 : 2;
    let offset = 0;
    for (const { kvHeads, headDim } of this.owner.attentions) {
      for (let head = 0; head < 2 * kvHeads; head++) {
        if (this.length > 0) yield { offset, bytes: this.length * headDim * size };
        offset += this.capacity * headDim * size;
      }
    }
  }

  protected override free(): void {
    this.memory[Symbol.dispose]();
    this.owner.caches.delete(this);
  }
}
