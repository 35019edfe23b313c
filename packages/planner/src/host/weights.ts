// Weights as arrays in the host's memory.

import type { WeightInfo, WeightName } from "@polyllama/core";
import type { ParameterStorage } from "../frame/shared-parameters.ts";

/** A weight and its values [rows, columns]. */
interface HostWeight {
  readonly info: WeightInfo;
  readonly values: Float32Array;
}

/** Weights that need nothing but their values. */
export class HostWeights implements ParameterStorage {
  readonly weights: ReadonlyMap<WeightName, WeightInfo>;
  readonly bytes: number;
  readonly #values: Map<WeightName, Float32Array>;

  constructor(loaded: ReadonlyMap<WeightName, HostWeight>) {
    this.weights = new Map([...loaded].map(([name, { info }]) => [name, info]));
    this.#values = new Map([...loaded].map(([name, { values }]) => [name, values]));
    this.bytes = [...this.#values.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** The values of a weight that was loaded [rows, columns]. */
  values(name: WeightName): Float32Array {
    return this.#values.get(name)!;
  }

  free(): void {
    this.#values.clear();
  }
}
