// Tensors of training: what one step gives and another takes, as kernels of training have it. Sizes are the same from
// step to step, so that memory is handed on.

import type { HostArray } from "@polyllama/core/device";
import type { TensorLayout, TensorStorage } from "@polyllama/planner";
import type { Gpu } from "../gpu.ts";
import { fromWords, wordsOf } from "./layout.ts";
import { checkSize, valueUsage } from "./memory.ts";
import { readWords } from "./read.ts";

/** Memory of tensors of a device. */
export class TensorMemory {
  readonly gpu: Gpu;
  readonly #free = new Map<number, GPUBuffer[]>();
  #users = 0;

  constructor(gpu: Gpu) {
    this.gpu = gpu;
  }

  /** @returns a buffer, and what resolves when the device has granted it */
  take(bytes: number): { readonly buffer: GPUBuffer; readonly ready: Promise<void> } {
    const size = Math.max(256, Math.ceil(bytes / 16) * 16);
    const free = this.#free.get(size) ?? [];
    while (free.length > 0) {
      const buffer = free.pop()!; // there is one
      if (this.gpu.has(buffer)) return { buffer, ready: Promise.resolve() };
    }
    checkSize(this.gpu, "A tensor of training", size);
    const { result, check } = this.gpu.guarded("a tensor of training", () =>
      this.gpu.buffer("tensor of training", size, valueUsage),
    );
    check.catch(() => this.gpu.free(result));
    return { buffer: result, ready: check };
  }

  give(buffer: GPUBuffer): void {
    if (this.#users === 0) this.gpu.free(buffer);
    else this.#free.set(buffer.size, [...(this.#free.get(buffer.size) ?? []), buffer]);
  }

  /** A program that takes tensors begins or, disposed, ends: behind the last one nothing is kept. */
  use(): Disposable {
    this.#users++;
    return {
      [Symbol.dispose]: () => {
        this.#users--;
        if (this.#users > 0) return;
        for (const buffers of this.#free.values()) for (const buffer of buffers) this.gpu.free(buffer);
        this.#free.clear();
      },
    };
  }
}

/** A tensor's memory. */
export class TrainingTensor implements TensorStorage {
  readonly layout: TensorLayout;
  readonly buffer: GPUBuffer;
  /** Resolves when the device has granted it. */
  readonly ready: Promise<void>;
  readonly #memory: TensorMemory;
  readonly #onFree: () => void;

  /** @throws {PolyllamaError} `ERR_BACKEND` for more than a buffer may have */
  constructor(layout: TensorLayout, memory: TensorMemory, onFree: () => void) {
    this.layout = layout;
    const { buffer, ready } = memory.take(4 * wordsOf(layout, layout.rows));
    this.buffer = buffer;
    this.ready = ready;
    this.#memory = memory;
    this.#onFree = onFree;
  }

  get gpu(): Gpu {
    return this.#memory.gpu;
  }

  /** A copy [rows, width]. */
  async read(signal?: AbortSignal): Promise<HostArray> {
    const { layout, buffer } = this;
    const words = await readWords(this.gpu, { buffer, offset: 0, bytes: 4 * wordsOf(layout, layout.rows) });
    signal?.throwIfAborted();
    return fromWords(layout, words);
  }

  free(): void {
    this.#memory.give(this.buffer);
    this.#onFree();
  }
}
