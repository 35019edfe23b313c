// Memory on the card that grows when more of it is needed. Its content is lost then, and so is its address, which
// recorded graphs hold.

import type { Handle } from "../driver/api.ts";
import type { Gpu } from "../gpu.ts";
import type { DeviceMemory } from "../memory.ts";

export class GrowingMemory implements Disposable {
  readonly #gpu: Gpu;
  readonly #what: string;
  #memory: DeviceMemory | undefined;
  /** How often it has moved. */
  #moves = 0;

  /** @param what What it is for, for errors. */
  constructor(gpu: Gpu, what: string) {
    this.#gpu = gpu;
    this.#what = what;
  }

  get address(): Handle {
    return this.#memory?.address ?? 0n;
  }

  get moves(): number {
    return this.#moves;
  }

  /**
   * Makes room for so many bytes. What was enqueued may use the old memory and is waited for.
   *
   * @param rows That it is for, for errors.
   * @throws {MemoryError}
   */
  async ensure(bytes: number, rows: number): Promise<void> {
    if (bytes <= (this.#memory?.size ?? 0)) return;
    if (this.#memory !== undefined) await this.#gpu.finished();
    this[Symbol.dispose]();
    this.#moves++;
    this.#memory = this.#gpu.allocate(bytes, `a run of ${rows} rows: ${this.#what}`);
  }

  [Symbol.dispose](): void {
    this.#memory?.[Symbol.dispose]();
    this.#memory = undefined;
  }
}
