// Weights on a device, shared by any number of programs.

import type { WeightName } from "../graph.ts";
import type { WeightInfo, WeightSource } from "../weights.ts";

/** Weights on a device. Disposing them frees their memory when the last program that uses them is disposed. */
export interface Parameters extends Disposable {
  readonly weights: ReadonlyMap<WeightName, WeightInfo>;
  /** Memory on the device. */
  readonly bytes: number;
  /** How often steps have updated them. */
  readonly version: number;
  /**
   * Low-rank additions that sequences may name: for a weight W [M, K] the source has `W.lora_a` [r, K] and `W.lora_b`
   * [M, r], and the linear of that weight becomes x Wᵀ + scale (x Aᵀ) Bᵀ (Hu et al., "LoRA", 2021, section 4.1). A
   * source of other weights is refused: what takes the place of a weight is not switched by sequence. Any number of
   * adapters is there at once, and a step may name several; A and B are kept in f32, by the host, too. Steps under way
   * go on with what they were submitted with. Which other adapters are there moves results by roundings at most.
   *
   * @returns what removes it.
   * @throws {UnsupportedError}; `CheckpointError`
   */
  addAdapter(name: string, source: WeightSource, options?: AdapterOptions): Promise<Disposable>;
  /**
   * The present values, as a source of f32 weights, which has `readExact` where the device keeps more than that.
   *
   * @throws {UnsupportedError}
   */
  export(): WeightSource;
}

/** Options of `Parameters.addAdapter`. */
export interface AdapterOptions {
  /** Factor of the addition, of all weights or by weight; checkpoints give it as alpha / r. Default 1. */
  readonly scale?: number | ReadonlyMap<WeightName, number>;
}
