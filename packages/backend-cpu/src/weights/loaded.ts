// Weights in memory, and where each lies.

import type { WeightInfo, WeightName } from "@polyllama/core";
import type { ParameterStorage, WeightGroup } from "@polyllama/planner";
import type { WeightLayout } from "./layout.ts";
import type { KeptWeights } from "./local.ts";

export class LoadedWeights implements ParameterStorage {
  readonly weights: ReadonlyMap<WeightName, WeightInfo>;
  readonly layout: WeightLayout;
  readonly bytes: number;
  readonly #kept: KeptWeights;

  constructor(weights: ReadonlyMap<WeightName, WeightInfo>, layout: WeightLayout, kept: KeptWeights) {
    this.weights = weights;
    this.layout = layout;
    this.bytes = layout.bytes;
    this.#kept = kept;
  }

  matrix(group: WeightGroup): bigint {
    return this.#kept.arena.ref + BigInt(this.layout.matrices.get(group)!); // the layout places each group
  }

  /** The weight of a norm, f32. */
  norm(name: WeightName): bigint {
    return this.#kept.arena.ref + BigInt(this.layout.norms.get(name)!); // the layout places all that graphs normalize with
  }

  async free(): Promise<void> {
    await this.#kept.release();
    this.#kept.arena[Symbol.dispose]();
  }
}
