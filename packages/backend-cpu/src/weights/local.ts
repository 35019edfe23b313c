// What loading weights can do where there is a file system: threads of the library's read files themselves, and
// repacked weights are kept for the next time. Node's part of it is in packed/; a page has none.

import type { Progress, WeightInfo, WeightName, WeightSource } from "@polyllama/core";
import type { Machine } from "../machine.ts";
import type { Arena } from "../native/engine.ts";
import type { WeightLayout } from "./layout.ts";

/** Weights to load, and how far that is. */
export interface LoadJob {
  readonly machine: Machine;
  readonly layout: WeightLayout;
  readonly infos: ReadonlyMap<WeightName, WeightInfo>;
  readonly source: WeightSource;
  readonly signal: AbortSignal;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** Memory with all weights of a job. */
export interface KeptWeights {
  readonly arena: Arena;
  /** Ends what is under way with the memory; it can be freed then. */
  release(): Promise<void>;
}

export interface LocalWeights {
  /**
   * Weights that were kept, or that are best repacked into a file; undefined where they are to be repacked into memory.
   *
   * @param fill Repacks all weights into memory.
   * @throws {CheckpointError}; the signal's reason
   */
  find(job: LoadJob, fill: (arena: Arena) => Promise<void>): Promise<KeptWeights | undefined>;
  /** Keeps weights for the next time, while they are used. */
  keep(job: LoadJob, arena: Arena): Promise<KeptWeights>;
  /**
   * Repacks matrices that lie in files.
   *
   * @param onBytes Called with the bytes of the checkpoint that were read
   * @returns Names of those that are in place now. @throws the signal's reason
   */
  repack(job: LoadJob, arena: Arena, onBytes: (count: number) => void): Promise<ReadonlySet<WeightName>>;
}
