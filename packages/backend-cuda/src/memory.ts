// What the card gives out and has to get back: memory of its own, memory of the host that it reaches by itself, and
// recorded graphs.

import { PolyllamaError } from "@polyllama/core";
import type { Handle, HostMemory } from "./driver/api.ts";

/** Memory on the card. */
export class DeviceMemory implements Disposable {
  readonly address: Handle;
  readonly size: number;
  readonly #free: () => void;
  #freed = false;

  constructor(address: Handle, size: number, free: () => void) {
    this.address = address;
    this.size = size;
    this.#free = free;
  }

  [Symbol.dispose](): void {
    if (this.#freed) return;
    this.#freed = true;
    freeQuietly(this.#free);
  }
}

/** Memory of the host that the card copies from and to while the program goes on. */
export class PinnedMemory implements Disposable {
  readonly address: Handle;
  #bytes: ArrayBuffer | undefined;
  readonly #free: () => void;

  constructor(memory: HostMemory, free: () => void) {
    this.address = memory.address;
    this.#bytes = memory.bytes;
    this.#free = free;
  }

  /** The memory itself: take views of it anew for each use. @throws {PolyllamaError} `ERR_DISPOSED` once it is freed */
  get buffer(): ArrayBuffer {
    if (this.#bytes === undefined) throw new PolyllamaError("ERR_DISPOSED", "This memory of the host was freed.");
    return this.#bytes;
  }

  [Symbol.dispose](): void {
    if (this.#bytes === undefined) return;
    this.#bytes = undefined;
    freeQuietly(this.#free);
  }
}

/** Launches and copies that the card repeats at one call. */
export class ExecutableGraph implements Disposable {
  readonly launch: () => void;
  readonly #destroy: () => void;

  constructor(launch: () => void, destroy: () => void) {
    this.launch = launch;
    this.#destroy = destroy;
  }

  [Symbol.dispose](): void {
    freeQuietly(this.#destroy);
  }
}

/** On a lost card nothing is left to free. */
function freeQuietly(free: () => void): void {
  try {
    free();
  } catch (error) {
    if (!(error instanceof PolyllamaError) || error.code !== "ERR_DEVICE_LOST") throw error;
  }
}
