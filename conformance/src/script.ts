// Runs of a graph on caches, as data: so that a device, the reference and its perturbed runs can each do the same.
// Caches are numbered, and there as soon as they are used.

import type { CacheFormat, Graph, WeightSource } from "@polyllama/core";
import type { CachePool, HostStep, LoadedGraph, SequenceCache, SequenceRows } from "@polyllama/core/device";

/** A sequence's part of a run. `cache` counts the script's caches; without one the rows stand alone. */
export interface SequencePart {
  readonly rows: number;
  readonly cache?: number;
  readonly position?: number;
}

/** A run, and its inputs. */
export interface Run {
  readonly run: HostStep["inputs"];
  readonly sequences: readonly SequencePart[];
}

export type Action =
  | Run
  | { readonly truncate: number; readonly cache: number }
  /** Forks a cache, to a new number. */
  | { readonly fork: number; readonly to: number };

export interface Script {
  readonly graph: Graph;
  readonly weights: WeightSource;
  readonly actions: readonly Action[];
  /** Positions of each cache. */
  readonly capacity?: number;
  /** Format of caches that are to round; default: what the device has. */
  readonly cache?: CacheFormat;
}

/** The caches of a script on one graph. */
export class ScriptCaches implements Disposable {
  readonly #pool: CachePool | undefined;
  readonly #caches = new Map<number, SequenceCache>();

  constructor(loaded: Pick<LoadedGraph, "pool">, { actions, capacity = 1, cache }: Omit<Script, "graph" | "weights">) {
    const sequences = new Set(actions.flatMap(numbers)).size;
    if (sequences > 0) this.#pool = loaded.pool(capacity, { sequences, ...(cache && { format: cache }) });
  }

  /** The step of a run; for any other action undefined, once it is done. */
  next(action: Action): HostStep | undefined {
    if ("truncate" in action) this.#cache(action.cache).truncate(action.truncate);
    else if ("fork" in action) this.#caches.set(action.to, this.#cache(action.fork).fork());
    else {
      const sequences = action.sequences.map(
        ({ cache, ...part }): SequenceRows => ({ ...part, ...(cache !== undefined && { cache: this.#cache(cache) }) }),
      );
      return { inputs: action.run, sequences };
    }
    return undefined;
  }

  #cache(number: number): SequenceCache {
    const known = this.#caches.get(number) ?? this.#pool!.open(); // a script with caches has a pool
    this.#caches.set(number, known);
    return known;
  }

  [Symbol.dispose](): void {
    this.#pool?.[Symbol.dispose]();
  }
}

/** The caches that an action is about. */
function numbers(action: Action): readonly number[] {
  if ("truncate" in action) return [action.cache];
  if ("fork" in action) return [action.fork, action.to];
  return action.sequences.flatMap(({ cache }) => (cache === undefined ? [] : [cache]));
}
