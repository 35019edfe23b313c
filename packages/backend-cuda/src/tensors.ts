// Tensors on the card: what a step leaves there for later steps, and the memory that it lies in. Memory of small
// tensors, which drawn tokens are, is kept for the next ones, as allocating takes longer than a kernel.

import type { HostArray } from "@polyllama/core/device";
import type { TensorStorage } from "@polyllama/planner";
import type { Handle } from "./driver/api.ts";
import type { Gpu } from "./gpu.ts";
import type { DeviceMemory } from "./memory.ts";

/** Bytes of the pieces that are kept. */
const smallBytes = 1024;

/** Memory for tensors. What comes back is used again by what is enqueued later. */
export class TensorMemories implements Disposable {
  readonly #gpu: Gpu;
  readonly #free: DeviceMemory[] = [];

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** @throws {MemoryError} */
  take(bytes: number): DeviceMemory {
    if (bytes > smallBytes) return this.#gpu.allocate(bytes, "a tensor");
    return this.#free.pop() ?? this.#gpu.allocate(smallBytes, "drawn tokens");
  }

  giveBack(memory: DeviceMemory): void {
    if (memory.size > smallBytes) memory[Symbol.dispose]();
    else this.#free.push(memory);
  }

  [Symbol.dispose](): void {
    for (const memory of this.#free) memory[Symbol.dispose]();
    this.#free.length = 0;
  }
}

export class CudaTensor implements TensorStorage {
  readonly gpu: Gpu;
  readonly elements: number;
  /** How many tokens there are to be drawn; undefined for activations. */
  readonly vocabulary: number | undefined;
  readonly #memories: TensorMemories;
  readonly #memory: DeviceMemory;
  /** Called when its memory is free. */
  onFree: () => void = () => undefined;

  /** @throws {MemoryError} */
  constructor(gpu: Gpu, memories: TensorMemories, elements: number, vocabulary?: number) {
    this.gpu = gpu;
    this.elements = elements;
    this.vocabulary = vocabulary;
    this.#memories = memories;
    this.#memory = memories.take(4 * elements);
  }

  get address(): Handle {
    return this.#memory.address;
  }

  async read(signal: AbortSignal | undefined): Promise<HostArray> {
    using staging = this.gpu.allocateHost(4 * this.elements, "a tensor that is read");
    this.gpu.copyToHost(staging.address, this.address, 4 * this.elements);
    await this.gpu.finished();
    signal?.throwIfAborted();
    const Elements = this.vocabulary === undefined ? Float32Array : Int32Array;
    return new Elements(staging.buffer, 0, this.elements).slice();
  }

  free(): void {
    this.#memories.giveBack(this.#memory);
    this.onFree();
  }
}
