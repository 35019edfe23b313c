// Low-rank adapters as weights: what is added to a matrix W [M, K] is scale B A (Hu et al., "LoRA", arXiv 2106.09685).
// A and B are called after the matrix, and stand in a source of their own beside the model's.

import type { WeightName } from "./op.ts";
import type { WeightSource } from "./weights.ts";

/** A low-rank addition to a matrix. */
export interface LowRank {
  /** Rows of A and columns of B. */
  readonly rank: number;
  /** Factor of the addition: alpha / rank. */
  readonly scale: number;
}

/**
 * An adapter of a model: `W.lora_a` [r, K] and `W.lora_b` [M, r] of the matrices that it changes, and weights of the
 * model's own names that take the place of the model's, such as an embedding table that was trained along.
 */
export interface AdapterSource extends WeightSource {
  /** By the name of the matrix. */
  readonly adapters: ReadonlyMap<WeightName, LowRank>;
}

/** Factors of an adapter's additions, as `Parameters.addAdapter` takes them. */
export function adapterScales({ adapters }: Pick<AdapterSource, "adapters">): ReadonlyMap<WeightName, number> {
  return new Map([...adapters].map(([name, { scale }]) => [name, scale]));
}

/** The names of a matrix's A and B, as weights beside it. */
export function adapterOf(name: WeightName): readonly [a: WeightName, b: WeightName] {
  return [`${name}.lora_a`, `${name}.lora_b`];
}
