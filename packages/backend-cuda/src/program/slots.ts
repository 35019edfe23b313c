// Pinned memory that chunks are copied in from and out to. There are some slots, so that chunks can be under way while
// the outputs of those before are read; a slot is taken from when a chunk is written until its outputs have been read.

import type { Handle } from "../driver/api.ts";
import type { Gpu } from "../gpu.ts";
import type { PinnedMemory } from "../memory.ts";

const slotCount = 3;

export class Slot implements Disposable {
  /** Marks the end of the chunk. */
  readonly event: Handle;
  readonly #gpu: Gpu;
  #in: PinnedMemory | undefined;
  #out: PinnedMemory | undefined;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
    this.event = gpu.createEvent();
  }

  /** Memory of at least so many bytes that the chunk is copied from. @throws {MemoryError} */
  in(bytes: number): PinnedMemory {
    this.#in = this.#grown(this.#in, bytes, "inputs of steps");
    return this.#in;
  }

  /** And that outputs are copied to. @throws {MemoryError} */
  out(bytes: number): PinnedMemory {
    this.#out = this.#grown(this.#out, bytes, "outputs of steps");
    return this.#out;
  }

  #grown(memory: PinnedMemory | undefined, bytes: number, what: string): PinnedMemory {
    if (memory !== undefined && memory.buffer.byteLength >= bytes) return memory;
    memory?.[Symbol.dispose]();
    return this.#gpu.allocateHost(2 ** Math.ceil(Math.log2(Math.max(bytes, 1 << 12))), what);
  }

  [Symbol.dispose](): void {
    this.#in?.[Symbol.dispose]();
    this.#out?.[Symbol.dispose]();
    this.#gpu.driver.destroyEvent(this.event);
  }
}

export class Slots implements Disposable {
  readonly #gpu: Gpu;
  readonly #all: Slot[] = [];
  readonly #free: Slot[] = [];
  readonly #waiting: ((slot: Slot) => void)[] = [];

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** A slot that nobody uses, when there is one. */
  async acquire(): Promise<Slot> {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#all.length < slotCount) {
      const made = new Slot(this.#gpu);
      this.#all.push(made);
      return made;
    }
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }

  release(slot: Slot): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(slot);
    else next(slot);
  }

  /** No chunk is under way. */
  [Symbol.dispose](): void {
    for (const slot of this.#all) slot[Symbol.dispose]();
  }
}
