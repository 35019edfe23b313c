// The engine of a device: opened at its first use, and used by one run after another, as loading weights and running
// steps are both runs.

import { PolyllamaError } from "@polyllama/core";
import type { Arena, Engine, RunResult } from "./native/engine.ts";

export class Machine {
  readonly #open: () => Engine | Promise<Engine>;
  #engine: Engine | Promise<Engine> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** @param open A promise where the engine has to be fetched. */
  constructor(open: () => Engine | Promise<Engine>) {
    this.#open = open;
  }

  /** Opens the engine. @throws {PolyllamaError} where there is no library for this platform */
  async open(): Promise<void> {
    this.#engine ??= this.#open();
    try {
      this.#engine = await this.#engine;
    } catch (error) {
      this.#engine = undefined; // another try may find what was missing
      throw error;
    }
  }

  /** @throws {PolyllamaError} `ERR_BACKEND` where it is still to be fetched, and as {@link open} */
  get engine(): Engine {
    this.#engine ??= this.#open();
    if (!(this.#engine instanceof Promise)) return this.#engine;
    throw new PolyllamaError("ERR_BACKEND", "The kernels are still being fetched; load parameters first.");
  }

  /** @param what What it is for, for errors. @throws {MemoryError} */
  allocate(bytes: number, what: string): Arena {
    return this.engine.allocate(Math.max(bytes, 64), what);
  }

  /** Runs when those before have ended. */
  run(run: bigint, signal?: AbortSignal): Promise<RunResult> {
    const own = this.#last.then(() => this.engine.run(run, signal));
    this.#last = own.catch(() => undefined); // whoever asked for it gets the rejection
    return own;
  }

  /** No run is under way, and all memory that was allocated has been disposed or is not used any more. */
  close(): void {
    const engine = this.#engine;
    this.#engine = undefined;
    if (engine instanceof Promise) engine.then((opened) => opened.close()).catch(() => undefined);
    else engine?.close();
  }
}
