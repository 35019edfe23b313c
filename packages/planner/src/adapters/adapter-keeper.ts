// What parameters ask of whatever keeps their adapters.

import type { WeightSource } from "@polyllama/core";
import type { AdapterOptions } from "@polyllama/core/device";

/** Where the adapters of some parameters are kept. */
export interface AdapterKeeper {
  /** Memory that they take beside the weights. */
  readonly bytes: number;
  /**
   * When it resolves steps may name it.
   *
   * @param ended Called when the weights are no more in use for it, before a device that is disposed goes on.
   * @throws {CheckpointError}; `MemoryError`; `ERR_DISPOSED`, also without that call
   */
  add(name: string, source: WeightSource, options: AdapterOptions, ended: () => Promise<void>): Promise<void>;
  /** No step that names it will come. */
  remove(name: string, ended: () => Promise<void>): Promise<void>;
  /** A promise where that takes time. */
  free(): void | Promise<void>;
}
