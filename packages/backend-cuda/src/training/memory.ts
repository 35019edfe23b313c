// A training program's memory within steps: an arena of values, what the host tells of a step, and pinned memory that this
// is copied from. All work is in order, so that one of each serves steps that are enqueued behind one another; only pinned
// memory is written again no sooner than it has been read.

import type { Handle } from "../driver/api.ts";
import type { Gpu } from "../gpu.ts";
import type { PinnedMemory } from "../memory.ts";
import { GrowingMemory } from "../program/growing.ts";

export class TrainingMemory implements Disposable {
  readonly arena: GrowingMemory;
  /** What the host tells. */
  readonly told: GrowingMemory;
  readonly #gpu: Gpu;
  /** Marks the copies from pinned memory. */
  readonly #copied: Handle;
  #pinned: PinnedMemory | undefined;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
    this.arena = new GrowingMemory(gpu, "values of training");
    this.told = new GrowingMemory(gpu, "what the host tells");
    this.#copied = gpu.createEvent();
  }

  /**
   * Copies what is written to the card.
   *
   * @param copies Where each part goes that `write` writes, one behind the other.
   * @throws {MemoryError}
   */
  async copyIn(
    copies: readonly { readonly to: Handle; readonly bytes: number }[],
    write: (buffer: ArrayBuffer) => void,
  ): Promise<void> {
    const gpu = this.#gpu;
    const total = copies.reduce((sum, { bytes }) => sum + bytes, 0);
    if (this.#pinned !== undefined) await gpu.reached(this.#copied);
    if (this.#pinned === undefined || this.#pinned.buffer.byteLength < total) {
      this.#pinned?.[Symbol.dispose]();
      this.#pinned = undefined;
      this.#pinned = gpu.allocateHost(2 ** Math.ceil(Math.log2(Math.max(total, 1 << 12))), "inputs of steps");
    }
    const pinned = this.#pinned;
    write(pinned.buffer);
    let from = pinned.address;
    for (const { to, bytes } of copies) {
      if (bytes > 0) gpu.copyToDevice(to, from, bytes);
      from += BigInt(bytes);
    }
    gpu.record(this.#copied);
  }

  /** Nothing is under way. */
  [Symbol.dispose](): void {
    this.arena[Symbol.dispose]();
    this.told[Symbol.dispose]();
    this.#pinned?.[Symbol.dispose]();
    this.#gpu.driver.destroyEvent(this.#copied);
  }
}
