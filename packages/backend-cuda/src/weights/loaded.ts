// Weights in the card's memory, and their addresses as kernels read them.

import type { WeightInfo, WeightName } from "@polyllama/core";
import type { ParameterStorage, WeightGroup } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { DeviceWeights } from "../kernels/weights.ts";
import type { DeviceMemory } from "../memory.ts";
import { deviceWeights } from "./addresses.ts";
import type { RowExponents } from "./exponents.ts";
import type { WeightLayout } from "./layout.ts";

/** Weights in the card's memory. */
export class LoadedWeights implements ParameterStorage {
  readonly weights: ReadonlyMap<WeightName, WeightInfo>;
  readonly layout: WeightLayout;
  readonly bytes: number;
  /** Where linears of many rows go to tensor cores. */
  readonly exponents: RowExponents | undefined;
  readonly #matrices: ReadonlyMap<WeightGroup, DeviceMemory>;
  readonly #vectors: ReadonlyMap<WeightName, DeviceMemory>;

  constructor(
    weights: ReadonlyMap<WeightName, WeightInfo>,
    layout: WeightLayout,
    { matrices, vectors }: WeightMemory,
    exponents: RowExponents | undefined,
  ) {
    this.weights = weights;
    this.layout = layout;
    this.bytes = layout.bytes + (exponents?.bytes ?? 0);
    this.exponents = exponents;
    this.#matrices = matrices;
    this.#vectors = vectors;
  }

  /** Rows of a group from one on, as kernels read them. */
  matrix(group: WeightGroup, first: number): DeviceWeights {
    const memory = this.#matrices.get(group)!; // the layout has a matrix for each group
    return deviceWeights(this.layout, group, memory, first);
  }

  /** Address of a norm's weight, f32. */
  vector(name: WeightName): Handle {
    return this.#vectors.get(name)!.address; // the layout has all that graphs normalize with
  }

  free(): void {
    for (const memory of this.#matrices.values()) memory[Symbol.dispose]();
    for (const memory of this.#vectors.values()) memory[Symbol.dispose]();
    this.exponents?.[Symbol.dispose]();
  }
}

/** Memory of weights, by what lies in it. */
export interface WeightMemory {
  readonly matrices: ReadonlyMap<WeightGroup, DeviceMemory>;
  readonly vectors: ReadonlyMap<WeightName, DeviceMemory>;
}
