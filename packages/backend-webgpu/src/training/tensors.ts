// Tensors of training: what one step gives and another takes, as kernels of training have it.

import type { HostArray } from "@polyllama/core/device";
import { RecycledMemory, type TensorLayout, type TensorStorage } from "@polyllama/planner";
import type { Gpu } from "../gpu.ts";
import { fromWords, wordsOf } from "./layout.ts";
import { checkSize, valueUsage } from "./memory.ts";
import { readWords } from "./read.ts";

interface Granted {
  readonly buffer: GPUBuffer;
  /** Resolves when the device has granted it. */
  readonly ready: Promise<void>;
}

/** Memory of tensors of a device. */
export class TensorMemory extends RecycledMemory<Granted> {
  readonly gpu: Gpu;

  constructor(gpu: Gpu) {
    super({
      allocate(bytes) {
        checkSize(gpu, "A tensor of training", bytes);
        const { result, check } = gpu.guarded("a tensor of training", () =>
          gpu.buffer("tensor of training", bytes, valueUsage),
        );
        check.catch(() => gpu.free(result));
        return { buffer: result, ready: check };
      },
      free: ({ buffer }) => gpu.free(buffer),
      isUsable: ({ buffer }) => gpu.has(buffer),
      most: gpu.limits.maxBufferSize,
    });
    this.gpu = gpu;
  }
}

/** A tensor's memory. */
export class TrainingTensor implements TensorStorage {
  readonly layout: TensorLayout;
  readonly #granted: Granted;
  readonly #memory: TensorMemory;
  readonly #onFree: () => void;

  /** @throws {PolyllamaError} `ERR_BACKEND` for more than a buffer may have */
  constructor(layout: TensorLayout, memory: TensorMemory, onFree: () => void) {
    this.layout = layout;
    this.#granted = memory.take(4 * wordsOf(layout, layout.rows));
    this.#memory = memory;
    this.#onFree = onFree;
  }

  get buffer(): GPUBuffer {
    return this.#granted.buffer;
  }

  /** Resolves when the device has granted it. */
  get ready(): Promise<void> {
    return this.#granted.ready;
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
    this.#memory.give(this.#granted);
    this.#onFree();
  }
}
