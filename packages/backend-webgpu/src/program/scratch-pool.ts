// Blocks for sequences that have no cache: their rows see each other through these while a step runs, and the next step
// writes over them.

import type { CacheSpec, StepPlaces } from "@polyllama/core/device";
import { blockRows, blocksFor } from "../cache/layout.ts";
import { PoolMemory } from "../cache/pool-memory.ts";
import type { Gpu } from "../gpu.ts";
import type { SequenceBlocks } from "./chunk.ts";

/** Blocks that are kept from step to step. */
const keptBlocks = 1024 / blockRows;

export class ScratchPool {
  readonly #gpu: Gpu;
  readonly #spec: CacheSpec;
  #pool: PoolMemory | undefined;

  constructor(gpu: Gpu, spec: CacheSpec) {
    this.#gpu = gpu;
    this.#spec = spec;
  }

  /** Blocks for those sequences of a step that have no cache, by sequence. @throws {MemoryError} */
  async assign({ sequences }: StepPlaces): Promise<readonly (SequenceBlocks | undefined)[]> {
    let needed = 0;
    const tables = sequences.map(({ cache, rows }) => {
      if (cache !== undefined) return undefined;
      return Uint32Array.from({ length: blocksFor(rows) }, () => needed++);
    });
    if (needed === 0 || this.#spec.length === 0) return tables.map(() => undefined);
    if (this.#pool === undefined || this.#pool.blocks < needed) {
      this.free();
      const what = `A cache of ${needed * blockRows} positions for rows without one`;
      this.#pool = new PoolMemory(this.#gpu, this.#spec, "f32", needed, what);
    }
    const pool = this.#pool;
    try {
      await pool.ready;
    } catch (error) {
      this.free();
      throw error;
    }
    return tables.map((table) => table && { pool, table, start: 0 });
  }

  /** Frees what is too large to be kept, when a step is submitted. */
  trim(): void {
    if (this.#pool !== undefined && this.#pool.blocks > keptBlocks) this.free();
  }

  free(): void {
    this.#pool?.free();
    this.#pool = undefined;
  }
}
