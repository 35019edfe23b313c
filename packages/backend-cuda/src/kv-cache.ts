// Keys and values of one sequence in the card's memory: a pool of KV blocks of its own, in their order. A block has for every attention
// keys [G, 32, d] and then values alike, in f32, f16 or bf16. Attention appends in place; rewinding only lowers the length, and what lies
// beyond it is never read.

import { type AttentionNode, type CacheFormat, SequenceCache } from "@polyllama/core";
import type { Gpu } from "./gpu.ts";
import { kvBlockRows, type RowBlocks } from "./kernels/row.ts";
import type { DeviceMemory } from "./memory.ts";

/** What a cache needs of its program. */
export interface CacheOwner {
  readonly gpu: Gpu;
  readonly attentions: readonly AttentionNode[];
  /** Caches alive; the program disposes them with itself. */
  readonly caches: Set<CudaKvCache>;
}

/** Blocks for so many positions. */
function blocksFor(positions: number): number {
  return Math.ceil(positions / kvBlockRows);
}

function blockBytes(attentions: readonly AttentionNode[], format: CacheFormat): number {
  const size = format === "f32" ? 4 : 2;
  return attentions.reduce((sum, { kvHeads, headDim }) => sum + 2 * kvHeads * headDim * kvBlockRows * size, 0);
}

/** Bytes of a full cache. */
export function cacheBytes(attentions: readonly AttentionNode[], capacity: number, format: CacheFormat): number {
  return blocksFor(capacity) * blockBytes(attentions, format);
}

export class CudaKvCache extends SequenceCache {
  readonly bytes: number;
  readonly format: CacheFormat;
  readonly owner: CacheOwner;
  readonly blocks: RowBlocks;
  readonly #memory: DeviceMemory;
  readonly #table: DeviceMemory;

  /** @throws {MemoryError}; {@link PolyllamaError} `ERR_OPTION` */
  constructor(owner: CacheOwner, capacity: number, format: CacheFormat) {
    super(capacity);
    const { gpu, attentions } = owner;
    this.owner = owner;
    this.format = format;
    this.bytes = cacheBytes(attentions, capacity, format);
    this.#memory = gpu.allocate(this.bytes, `a cache of ${capacity} positions in ${format}`);
    const tableBytes = 4 * blocksFor(capacity);
    try {
      using staging = gpu.allocateHost(tableBytes, "a table of blocks");
      this.#table = gpu.allocate(tableBytes, "a table of blocks");
      const numbers = new Uint32Array(staging.buffer, 0, blocksFor(capacity));
      for (const i of numbers.keys()) numbers[i] = i;
      gpu.copyToDevice(this.#table.address, staging.address, tableBytes);
      gpu.driver.synchronize(gpu.stream);
    } catch (error) {
      this.#memory[Symbol.dispose]();
      throw error;
    }
    const [pool, table] = [this.#memory.address, this.#table.address];
    this.blocks = { pool, table, blockBytes: blockBytes(attentions, format), format };
    owner.caches.add(this);
  }

  protected override empty(): CudaKvCache {
    return new CudaKvCache(this.owner, this.capacity, this.format);
  }

  protected override async copyTo({ blocks }: CudaKvCache): Promise<void> {
    const { gpu } = this.owner;
    await gpu.turns.run(undefined, async () => {
      const bytes = blocksFor(this.length) * this.blocks.blockBytes;
      if (bytes > 0) gpu.copyOnDevice(blocks.pool, this.blocks.pool, bytes);
      await gpu.finished();
    });
  }

  protected override free(): void {
    this.#memory[Symbol.dispose]();
    this.#table[Symbol.dispose]();
    this.owner.caches.delete(this);
  }
}
