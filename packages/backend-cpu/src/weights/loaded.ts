// Weights in memory, and where each lies.

import type { WeightInfo, WeightName } from "@polyllama/core";
import type { ParameterStorage, WeightGroup } from "@polyllama/planner";
import type { Arena } from "../native/engine.ts";
import type { WeightLayout } from "./layout.ts";

export class LoadedWeights implements ParameterStorage {
  readonly weights: ReadonlyMap<WeightName, WeightInfo>;
  readonly layout: WeightLayout;
  readonly bytes: number;
  readonly #arena: Arena;

  constructor(weights: ReadonlyMap<WeightName, WeightInfo>, layout: WeightLayout, arena: Arena) {
    this.weights = weights;
    this.layout = layout;
    this.bytes = layout.bytes;
    this.#arena = arena;
  }

  matrix(group: WeightGroup): bigint {
    return this.#arena.ref + BigInt(this.layout.matrices.get(group)!); // the layout places each group
  }

  /** The weight of a norm, f32. */
  norm(name: WeightName): bigint {
    return this.#arena.ref + BigInt(this.layout.norms.get(name)!); // the layout places all that graphs normalize with
  }

  free(): void {
    this.#arena[Symbol.dispose]();
  }
}
