// Tensors of training: what one step gives and another takes, as kernels of training have it. Sizes are the same from step
// to step, so that memory is handed on, to what is enqueued later.

import { MemoryError } from "@polyllama/core";
import type { HostArray } from "@polyllama/core/device";
import type { TensorLayout, TensorStorage } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { Gpu } from "../gpu.ts";
import type { DeviceMemory } from "../memory.ts";
import { readWords } from "../words.ts";
import { fromWords, wordsOf } from "./layout.ts";

/** Memory of tensors of a card. */
export class TensorPool {
  readonly gpu: Gpu;
  readonly #free = new Map<number, DeviceMemory[]>();
  #users = 0;

  constructor(gpu: Gpu) {
    this.gpu = gpu;
  }

  /** @throws {MemoryError} */
  take(bytes: number): DeviceMemory {
    const size = Math.max(256, Math.ceil(bytes / 256) * 256);
    const free = this.#free.get(size)?.pop();
    if (free !== undefined) return free;
    try {
      return this.gpu.allocate(size, "a tensor of training");
    } catch (error) {
      if (!(error instanceof MemoryError) || this.#free.size === 0) throw error;
      this.#clear(); // tensors of other sizes
      return this.gpu.allocate(size, "a tensor of training");
    }
  }

  give(memory: DeviceMemory): void {
    if (this.#users === 0) memory[Symbol.dispose]();
    else this.#free.set(memory.size, [...(this.#free.get(memory.size) ?? []), memory]);
  }

  /** A program that takes tensors begins or, disposed, ends: behind the last one nothing is kept. */
  use(): Disposable {
    this.#users++;
    return {
      [Symbol.dispose]: () => {
        this.#users--;
        if (this.#users === 0) this.#clear();
      },
    };
  }

  #clear(): void {
    for (const memories of this.#free.values()) for (const memory of memories) memory[Symbol.dispose]();
    this.#free.clear();
  }
}

/** A tensor's memory. */
export class TrainingTensor implements TensorStorage {
  readonly layout: TensorLayout;
  readonly #pool: TensorPool;
  readonly #memory: DeviceMemory;
  readonly #onFree: () => void;

  /** @throws {MemoryError} */
  constructor(layout: TensorLayout, pool: TensorPool, onFree: () => void) {
    this.layout = layout;
    this.#pool = pool;
    this.#memory = pool.take(4 * wordsOf(layout, layout.rows));
    this.#onFree = onFree;
  }

  get gpu(): Gpu {
    return this.#pool.gpu;
  }

  get address(): Handle {
    return this.#memory.address;
  }

  /** A copy [rows, width]. */
  async read(signal?: AbortSignal): Promise<HostArray> {
    const { layout, gpu, address } = this;
    const words = await readWords(gpu, address, wordsOf(layout, layout.rows), "a tensor that is read");
    signal?.throwIfAborted();
    return fromWords(layout, words);
  }

  free(): void {
    this.#pool.give(this.#memory);
    this.#onFree();
  }
}
