// A training program's memory within steps: buffers by size, handed on from step to step.

import { PolyllamaError } from "@polyllama/core";
import { type Gpu, usage } from "../gpu.ts";

/** What values are used for: kernels, and copies from and to the host. */
export const valueUsage: number = usage.storage | usage.copySource | usage.copyTarget;

/** @throws {PolyllamaError} `ERR_BACKEND` for more than a buffer may have */
export function checkSize({ limits: { maxBufferSize } }: Gpu, what: string, bytes: number): void {
  if (bytes <= maxBufferSize) return;
  const problem = `${what} takes ${bytes} bytes, but a buffer of this device has ${maxBufferSize} at most.`;
  throw new PolyllamaError("ERR_BACKEND", `${problem} Train in smaller micro-batches, or on another backend.`);
}

export class TrainingMemory {
  readonly #gpu: Gpu;
  readonly #free = new Map<string, GPUBuffer[]>();
  readonly #taken = new Set<GPUBuffer>();
  /** What was taken since memory was last settled. */
  readonly #used = new Set<GPUBuffer>();

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** A buffer with whatever was in it. Call within `Gpu.guard`. @throws {PolyllamaError} `ERR_BACKEND` */
  take(what: string, bytes: number, use: number = valueUsage): GPUBuffer {
    checkSize(this.#gpu, what, bytes);
    const size = Math.max(256, Math.ceil(bytes / 16) * 16);
    const free = this.#free.get(key(use, size));
    let buffer = free?.pop();
    while (buffer !== undefined && !this.#gpu.has(buffer)) buffer = free?.pop(); // it was refused
    buffer ??= this.#gpu.buffer(what, size, use);
    this.#taken.add(buffer);
    this.#used.add(buffer);
    return buffer;
  }

  /** What is submitted later may use it. */
  give(buffer: GPUBuffer): void {
    if (!this.#taken.delete(buffer)) return;
    const name = key(buffer.usage, buffer.size);
    this.#free.set(name, [...(this.#free.get(name) ?? []), buffer]);
  }

  /** A step has ended: all that it took is free, and what it had no use for is given back to the device. */
  settle(): void {
    for (const buffer of [...this.#taken]) this.give(buffer);
    for (const [name, buffers] of this.#free) {
      for (const buffer of buffers) if (!this.#used.has(buffer)) this.#gpu.free(buffer);
      this.#free.set(
        name,
        buffers.filter((buffer) => this.#used.has(buffer)),
      );
    }
    this.#used.clear();
  }

  /** Frees everything. */
  free(): void {
    for (const buffers of [...this.#free.values(), [...this.#taken]]) {
      for (const buffer of buffers) this.#gpu.free(buffer);
    }
    this.#free.clear();
    this.#taken.clear();
  }
}

function key(use: number, size: number): string {
  return `${use} ${size}`;
}
