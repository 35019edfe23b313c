// Keys and values of one sequence: for every attention two f32 buffers [1, G, capacity, padded d] in memory that ONNX
// Runtime allocates, so the system only commits the pages that are written. Attention appends in place; rewinding lowers
// the length, and what lies beyond it is never read. Disposing frees the memory at once.

import { type AttentionNode, checkNumber, type KvCache, PolyllamaError } from "@polyllama/core";
import { paddedHead } from "./emit/attention.ts";
import type { Handle, Ort } from "./ort/api.ts";

/** What a cache needs of its program. */
export interface CacheOwner {
  readonly ort: Ort;
  readonly attentions: readonly AttentionNode[];
  /** Caches alive; the program disposes them with itself. */
  readonly caches: Set<CpuKvCache>;
}

/** Bytes that the keys or the values of one attention take per position. */
function rowBytes({ kvHeads, headDim }: AttentionNode): number {
  return kvHeads * paddedHead(headDim) * 4;
}

/** Bytes of a full cache. */
export function cacheBytes(attentions: readonly AttentionNode[], capacity: number): number {
  let bytes = 0;
  for (const attention of attentions) bytes += 2 * capacity * rowBytes(attention);
  return bytes;
}

/** Bytes copied between two turns of the event loop. */
const copyPerTurn = 8 << 20;

export class CpuKvCache implements KvCache {
  readonly capacity: number;
  readonly bytes: number;
  readonly owner: CacheOwner;
  /** Per attention: keys, values. */
  readonly #tensors: readonly (readonly [Handle, Handle])[];
  #length = 0;
  #busy: string | undefined;
  #disposed = false;
  #freed = false;

  constructor(owner: CacheOwner, capacity: number) {
    checkNumber(capacity, "capacity", { least: 1, most: 2 ** 31 - 1, integer: true });
    this.owner = owner;
    this.capacity = capacity;
    this.bytes = cacheBytes(owner.attentions, capacity);
    const allocated: Handle[] = [];
    try {
      this.#tensors = owner.attentions.map(({ kvHeads, headDim }) => {
        const shape = [1, kvHeads, capacity, paddedHead(headDim)];
        const pair = [owner.ort.allocateTensor(shape, "f32"), owner.ort.allocateTensor(shape, "f32")] as const;
        allocated.push(...pair);
        return pair;
      });
    } catch (cause) {
      for (const tensor of allocated) owner.ort.releaseValue(tensor);
      throw new PolyllamaError(
        "ERR_BACKEND",
        `A cache of ${capacity} positions takes ${this.bytes} bytes, which the system does not give. Use less capacity.`,
        { cause },
      );
    }
    owner.caches.add(this);
  }

  get length(): number {
    return this.#length;
  }

  /** Keys and values of an attention. */
  tensors(attention: number): readonly [Handle, Handle] {
    return this.#tensors[attention]!;
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
    let copy: CpuKvCache | undefined;
    try {
      copy = new CpuKvCache(this.owner, this.capacity);
      copy.acquire("a fork");
      await this.#copyTo(copy);
      copy.releaseAt(this.#length);
      return copy;
    } catch (error) {
      copy?.releaseAt(0);
      copy?.[Symbol.dispose]();
      throw error;
    } finally {
      this.releaseAt(this.#length);
    }
  }

  /** Copies the rows in use, in slices. */
  async #copyTo(copy: CpuKvCache): Promise<void> {
    const { ort, attentions } = this.owner;
    let copied = 0;
    for (const [index, { kvHeads, headDim }] of attentions.entries()) {
      const width = paddedHead(headDim);
      for (const part of [0, 1] as const) {
        const bytes = kvHeads * this.capacity * width * 4;
        const from = new Float32Array(ort.koffi.view(ort.tensorData(this.#tensors[index]![part]), bytes));
        const to = new Float32Array(ort.koffi.view(ort.tensorData(copy.#tensors[index]![part]), bytes));
        const most = Math.max(1, Math.floor(copyPerTurn / (width * 4)));
        for (let head = 0; head < kvHeads; head++) {
          for (let row = 0; row < this.#length; row += most) {
            const start = (head * this.capacity + row) * width;
            const end = start + Math.min(most, this.#length - row) * width;
            to.set(from.subarray(start, end), start);
            copied += (end - start) * 4;
            if (copied >= copyPerTurn) {
              copied = 0;
              await new Promise((resolve) => setImmediate(resolve));
            }
          }
        }
      }
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
    if (this.#freed) return;
    this.#freed = true;
    for (const pair of this.#tensors) for (const tensor of pair) this.owner.ort.releaseValue(tensor);
    this.owner.caches.delete(this);
  }
}
