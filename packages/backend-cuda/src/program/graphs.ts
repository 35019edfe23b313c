// Launches that were recorded as CUDA graphs, so that a step of decoding is one call. A graph holds addresses, and is
// dropped when what it was recorded over has moved.

import type { Gpu } from "../gpu.ts";
import type { Launch } from "../launch.ts";
import type { ExecutableGraph } from "../memory.ts";

/** Enough for batches of all sizes up to 32 in two lengths. */
const keptGraphs = 64;

export class Graphs implements Disposable {
  readonly #gpu: Gpu;
  /** Least recently used first. */
  readonly #graphs = new Map<string, ExecutableGraph>();
  #moves = 0;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /**
   * Launches a graph; records it where it is new.
   *
   * @param key Of all that the launches depend on but memory.
   * @param moves How often the memory has moved.
   */
  launch(key: string, moves: number, launches: () => readonly Launch[]): void {
    if (moves !== this.#moves) this[Symbol.dispose]();
    this.#moves = moves;
    const graph = this.#graphs.get(key) ?? this.#record(launches());
    this.#graphs.delete(key);
    this.#graphs.set(key, graph);
    const [oldest] = this.#graphs;
    if (this.#graphs.size > keptGraphs && oldest !== undefined) {
      oldest[1][Symbol.dispose]();
      this.#graphs.delete(oldest[0]);
    }
    graph.launch();
  }

  #record(launches: readonly Launch[]): ExecutableGraph {
    this.#gpu.prepare(launches);
    return this.#gpu.capture(() => {
      for (const launch of launches) this.#gpu.launch(launch);
    });
  }

  /** Forgets all. A graph that is under way goes on. */
  [Symbol.dispose](): void {
    for (const graph of this.#graphs.values()) graph[Symbol.dispose]();
    this.#graphs.clear();
  }
}
