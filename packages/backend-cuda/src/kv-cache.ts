// Keys and values of one sequence in the card's memory: for every attention keys [G, capacity, d] and then values alike, in f32,
// f16 or bf16. Attention appends in place; rewinding only lowers the length, and what lies beyond it is never read.

import { type AttentionNode, type CacheFormat, checkNumber, type KvCache, PolyllamaError } from "@polyllama/core";
import type { DeviceMemory, Gpu } from "./gpu.ts";

/** What a cache needs of its program. */
export interface CacheOwner {
  readonly gpu: Gpu;
  readonly attentions: readonly AttentionNode[];
  /** Caches alive; the program disposes them with itself. */
  readonly caches: Set<CudaKvCache>;
}

/** @throws {PolyllamaError} `ERR_OPTION` */
export function checkCacheFormat(format: CacheFormat): void {
  if (format === "f32" || format === "f16" || format === "bf16") return;
  throw new PolyllamaError("ERR_OPTION", `A cache's format is f32, f16 or bf16, not ${JSON.stringify(format)}.`);
}

/** Bytes of a full cache. */
export function cacheBytes(attentions: readonly AttentionNode[], capacity: number, format: CacheFormat): number {
  const size = format === "f32" ? 4 : 2;
  return attentions.reduce((sum, { kvHeads, headDim }) => sum + 2 * kvHeads * headDim * capacity * size, 0);
}

export class CudaKvCache implements KvCache {
  readonly capacity: number;
  readonly bytes: number;
  readonly format: CacheFormat;
  readonly owner: CacheOwner;
  readonly memory: DeviceMemory;
  #length = 0;
  #busy: string | undefined;
  #disposed = false;

  /** @throws {PolyllamaError} `ERR_MEMORY`, `ERR_OPTION` */
  constructor(owner: CacheOwner, capacity: number, format: CacheFormat) {
    checkNumber(capacity, "capacity", { least: 1, most: 2 ** 31 - 1, integer: true });
    this.owner = owner;
    this.capacity = capacity;
    this.format = format;
    this.bytes = cacheBytes(owner.attentions, capacity, format);
    this.memory = owner.gpu.allocate(this.bytes);
    owner.caches.add(this);
  }

  get length(): number {
    return this.#length;
  }

  /** Reserves the cache for one user, "a run". @throws {PolyllamaError} `ERR_BUSY`, `ERR_DISPOSED` */
  acquire(user: string): void {
    this.#assertIdle();
    this.#busy = user;
  }

  /** Ends what `acquire` began; `length` is the new length. */
  releaseAt(length: number): void {
    this.#length = length;
    this.#busy = undefined;
    if (this.#disposed) this.#free();
  }

  truncate(length: number): void {
    this.#assertIdle();
    checkNumber(length, "The length that a cache is truncated to", { least: 0, most: this.#length, integer: true });
    this.#length = length;
  }

  async fork(): Promise<KvCache> {
    this.acquire("a fork");
    let copy: CudaKvCache | undefined;
    try {
      const made = new CudaKvCache(this.owner, this.capacity, this.format);
      copy = made;
      const { gpu } = this.owner;
      await gpu.exclusively(undefined, async () => {
        gpu.copyOnDevice(made.memory.address, this.memory.address, Math.max(16, this.bytes));
        await gpu.finished();
      });
      made.#length = this.#length;
      return made;
    } catch (error) {
      copy?.[Symbol.dispose]();
      throw error;
    } finally {
      this.releaseAt(this.#length);
    }
  }

  #assertIdle(): void {
    if (this.#disposed) throw new PolyllamaError("ERR_DISPOSED", "The cache was disposed; create another one.");
    if (this.#busy !== undefined) {
      throw new PolyllamaError(
        "ERR_BUSY",
        `The cache is in use by ${this.#busy}; wait for it, or fork the cache before.`,
      );
    }
  }

  /** Frees the memory: at once, or when the run that uses it ends. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    if (this.#busy === undefined) this.#free();
  }

  #free(): void {
    this.memory[Symbol.dispose]();
    this.owner.caches.delete(this);
  }
}
