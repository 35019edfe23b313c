// Buffers of a program that become larger when a chunk needs more. What was submitted before keeps the old one until it
// has run; kernels are then bound to the new one.

import { type Gpu, usage } from "../gpu.ts";

export type RoomName = "tables" | "partials" | "draws" | "chosen" | "keys" | "weights";

/** What a chunk needs of each, in bytes. */
export type Room = Readonly<Record<RoomName, number>>;

/** What each is used for. */
const rooms: Readonly<Record<RoomName, number>> = {
  tables: usage.storage | usage.copyTarget, // numbers of the blocks of each sequence
  partials: usage.storage, // what split attention keeps between its kernels
  draws: usage.storage | usage.copyTarget, // tokens that are to be chosen, and those that were
  chosen: usage.storage | usage.copySource,
  keys: usage.storage, // what the choice of tokens has of each vocabulary
  weights: usage.storage,
};

/** Bytes of the smallest. */
const least = 1024;

export class GrowingBuffers {
  readonly #gpu: Gpu;
  readonly #buffers = new Map<RoomName, GPUBuffer>();
  /** How often one of them has changed. */
  version = 0;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** One that {@link reserve} has made. */
  get(name: RoomName): GPUBuffer {
    return this.#buffers.get(name)!;
  }

  /** @throws {MemoryError} */
  async reserve(room: Room): Promise<void> {
    const short = Object.entries(room).filter(([name, bytes]) => this.#size(name as RoomName) < bytes); // its own keys
    if (short.length === 0) return;
    await this.#gpu.guard("memory for a step", () => {
      for (const [name, bytes] of short) this.#grow(name as RoomName, bytes);
    });
  }

  #size(name: RoomName): number {
    const buffer = this.#buffers.get(name);
    return buffer !== undefined && this.#gpu.has(buffer) ? buffer.size : 0;
  }

  #grow(name: RoomName, bytes: number): void {
    const most = Math.max(bytes, this.#gpu.limits.maxStorageBufferBindingSize);
    const size = Math.min(most, 2 ** Math.ceil(Math.log2(Math.max(bytes, least))));
    const known = this.#buffers.get(name);
    if (known !== undefined) this.#gpu.free(known);
    this.#buffers.delete(name);
    this.#buffers.set(name, this.#gpu.buffer(name, size, rooms[name]));
    this.version++;
  }

  free(): void {
    for (const buffer of this.#buffers.values()) this.#gpu.free(buffer);
    this.#buffers.clear();
  }
}
