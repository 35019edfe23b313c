// Tensors on the device: what a step leaves there for later steps. Memory of small tensors, which drawn tokens are, is
// kept for the next ones of a program, as making a buffer takes longer than a kernel.

import type { HostArray } from "@polyllama/core/device";
import type { TensorStorage } from "@polyllama/planner";
import { type Gpu, usage } from "./gpu.ts";

/** Bytes of the buffers that are kept. */
const smallBytes = 256;

/** Memory of a tensor. */
interface TensorMemory {
  readonly buffer: GPUBuffer;
  /** Resolves when the device has granted it. */
  readonly ready: Promise<void>;
}

/** Memory for tensors of a program. What comes back is used again by what is submitted later. */
export class TensorMemories {
  readonly #gpu: Gpu;
  readonly #kept: TensorMemory[] = [];
  #freed = false;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  take(bytes: number): TensorMemory {
    while (bytes <= smallBytes && this.#kept.length > 0) {
      const kept = this.#kept.pop()!; // there is one
      if (this.#gpu.has(kept.buffer)) return kept; // others came back before it was known that they were refused
    }
    const { result, check } = this.#gpu.guarded("a tensor", () =>
      this.#gpu.buffer("tensor", Math.max(smallBytes, bytes), usage.copySource | usage.copyTarget),
    );
    check.catch(() => this.#gpu.free(result));
    return { buffer: result, ready: check };
  }

  giveBack(memory: TensorMemory): void {
    if (this.#freed || memory.buffer.size > smallBytes) this.#gpu.free(memory.buffer);
    else this.#kept.push(memory);
  }

  /** Tensors that are alive keep their memory. */
  free(): void {
    this.#freed = true;
    for (const { buffer } of this.#kept) this.#gpu.free(buffer);
    this.#kept.length = 0;
  }
}

/** A matrix on the device, row by row. */
export class GpuTensor implements TensorStorage {
  readonly gpu: Gpu;
  readonly buffer: GPUBuffer;
  /** Resolves when the device has granted the memory. */
  readonly ready: Promise<void>;
  readonly #elements: number;
  /** How many tokens there were to choose from; undefined for activations. */
  readonly vocabulary: number | undefined;
  readonly #memories: TensorMemories;
  /** Called when its memory is free. */
  onFree: () => void = () => undefined;

  constructor(gpu: Gpu, memories: TensorMemories, elements: number, vocabulary?: number) {
    this.gpu = gpu;
    this.vocabulary = vocabulary;
    this.#memories = memories;
    this.#elements = elements;
    const { buffer, ready } = memories.take(4 * elements);
    this.buffer = buffer;
    this.ready = ready;
  }

  async read(signal: AbortSignal | undefined): Promise<HostArray> {
    const { gpu } = this;
    const bytes = 4 * this.#elements;
    const staging = await gpu.guard("a tensor that is read", () => {
      const buffer = gpu.buffer("staging of a tensor", bytes, usage.mapRead | usage.copyTarget);
      const encoder = gpu.device.createCommandEncoder({ label: "read" });
      encoder.copyBufferToBuffer(this.buffer, 0, buffer, 0, bytes);
      gpu.device.queue.submit([encoder.finish()]);
      return buffer;
    });
    try {
      await gpu.wait(staging.mapAsync(usage.mapRead));
      signal?.throwIfAborted();
      const Elements = this.vocabulary === undefined ? Float32Array : Int32Array;
      return new Elements(staging.getMappedRange().slice(0, bytes));
    } finally {
      gpu.free(staging);
    }
  }

  free(): void {
    this.#memories.giveBack({ buffer: this.buffer, ready: this.ready });
    this.onFree();
  }
}
