// The engine of a device: opened at its first use, and used by one run after another, as loading weights and running
// steps are both runs.

import { type Arena, type Engine, openEngine } from "./native/engine.ts";
import type { ChosenOptions } from "./options.ts";

export class Machine {
  readonly #options: ChosenOptions;
  #engine: Engine | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ChosenOptions) {
    this.#options = options;
  }

  /** @throws {PolyllamaError} where there is no library for this platform */
  get engine(): Engine {
    const { threads, instructionSet } = this.#options;
    this.#engine ??= openEngine({ threads, ...(instructionSet !== undefined && { set: instructionSet }) });
    return this.#engine;
  }

  /** @param what What it is for, for errors. @throws {MemoryError} */
  allocate(bytes: number, what: string): Arena {
    return this.engine.allocate(Math.max(bytes, 64), what);
  }

  /** Runs when those before have ended. @returns whether weights that are not finite were found */
  run(run: bigint, signal: AbortSignal): Promise<{ readonly notFinite: boolean }> {
    const own = this.#last.then(() => this.engine.run(run, signal));
    this.#last = own.catch(() => undefined); // whoever asked for it gets the rejection
    return own;
  }

  /** No run is under way, and all memory that was allocated has been disposed or is not used any more. */
  close(): void {
    this.#engine?.close();
    this.#engine = undefined;
  }
}
