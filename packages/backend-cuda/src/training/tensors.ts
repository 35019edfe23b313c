// Tensors of training: what one step gives and another takes, as kernels of training have it.

import type { HostArray } from "@polyllama/core/device";
import { RecycledMemory, type TensorLayout, type TensorStorage } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { Gpu } from "../gpu.ts";
import type { DeviceMemory } from "../memory.ts";
import { readWords } from "../words.ts";
import { fromWords, wordsOf } from "./layout.ts";

/** Memory of tensors of a card, handed on to what is enqueued later. */
export class TensorPool extends RecycledMemory<DeviceMemory> {
  readonly gpu: Gpu;

  constructor(gpu: Gpu) {
    super({
      allocate: (bytes) => gpu.allocate(bytes, "a tensor of training"),
      free: (memory) => memory[Symbol.dispose](),
    });
    this.gpu = gpu;
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
