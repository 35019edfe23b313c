// Runs of a graph on caches, as data: so that a backend, the reference and its perturbed runs can each do the same.
// Caches are numbered, and there as soon as they are used.

import type { CacheFormat, Graph, KvCache, Program, SequenceStep, Step, WeightSource } from "@polyllama/core";

/** A sequence's part of a run. `cache` counts the script's caches; without one the rows stand alone. */
export interface SequencePart {
  readonly rows: number;
  readonly cache?: number;
  readonly position?: number;
}

/** A run, and its inputs. */
export interface Run {
  readonly run: Step["inputs"];
  readonly batch: readonly SequencePart[];
}

export type Action =
  | Run
  | { readonly truncate: number; readonly cache: number }
  /** Copies a cache to a new number. */
  | { readonly fork: number; readonly to: number };

export interface Script {
  readonly graph: Graph;
  readonly weights: WeightSource;
  readonly actions: readonly Action[];
  /** Positions of each cache. */
  readonly capacity?: number;
  /** Format of caches that are to round; default: what the backend has. */
  readonly cache?: CacheFormat;
}

/** The caches of a script on one program. */
export class ScriptCaches implements Disposable {
  readonly #program: Pick<Program, "createCache">;
  readonly #script: Pick<Script, "capacity" | "cache">;
  readonly #caches = new Map<number, KvCache>();

  /** @param cache Format of the caches; default: what the program has. */
  constructor(program: Pick<Program, "createCache">, script: Pick<Script, "capacity" | "cache">) {
    this.#program = program;
    this.#script = script;
  }

  /** The step of a run; for any other action undefined, once it is done. */
  async next(action: Action): Promise<Step | undefined> {
    if ("truncate" in action) this.#cache(action.cache).truncate(action.truncate);
    else if ("fork" in action) this.#caches.set(action.to, await this.#cache(action.fork).fork());
    else {
      const batch = action.batch.map(
        ({ cache, ...part }): SequenceStep => ({ ...part, ...(cache !== undefined && { cache: this.#cache(cache) }) }),
      );
      return { inputs: action.run, batch };
    }
    return undefined;
  }

  #cache(number: number): KvCache {
    const { capacity = 1, cache: format } = this.#script;
    const known = this.#caches.get(number) ?? this.#program.createCache(capacity, format && { format });
    this.#caches.set(number, known);
    return known;
  }

  [Symbol.dispose](): void {
    for (const cache of this.#caches.values()) cache[Symbol.dispose]();
  }
}
