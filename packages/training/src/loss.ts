// The loss of language modelling: the mean of -log p over all targets of a batch, each by its weight. It is a function of a
// few numbers, and computed on the host in float64 whatever the device computes in; what the device gets is its gradient.

import type { RealArray } from "@polyllama/core";
import type { HostStep } from "@polyllama/core/device";
import type { PackedSequence } from "./pack.ts";

/** What a graph of `withLogProbabilities` gives, and what its cotangent is of. */
export const logProbability = "logProbability";

/** Packed sequences as one step: their examples are the step's sequences, N rows in all. */
export function packedStep(packed: readonly PackedSequence[]): HostStep {
  const joined = (part: "tokens" | "targets"): Int32Array => Int32Array.from(packed.flatMap((each) => [...each[part]]));
  return {
    inputs: { tokens: joined("tokens"), targets: joined("targets") }, // [N]
    sequences: packed.flatMap(({ rows }) => rows.map((count) => ({ rows: count }))),
  };
}

/** The weights of all rows together: what the loss of a batch is divided by. */
export function totalWeight(packed: readonly PackedSequence[]): number {
  return packed.reduce((total, { weights }) => weights.reduce((sum, weight) => sum + weight, total), 0);
}

/** A loss and its gradient. */
export interface Loss {
  readonly loss: number;
  /** By each log-probability [N]. */
  readonly cotangent: Float64Array;
}

/**
 * The part of a batch's loss that is these rows', `-sum(weight logProbability) / total`.
 *
 * @param logProbabilities Of the targets [N].
 * @param total Weights of all rows of the batch, above 0; those of its other micro-batches included.
 */
export function languageLoss(logProbabilities: RealArray, packed: readonly PackedSequence[], total: number): Loss {
  const weights = packed.flatMap((each) => [...each.weights]); // [N]
  const sum = weights.reduce((before, weight, row) => before + weight * logProbabilities[row]!, 0); // one for each row
  return { loss: -sum / total, cotangent: Float64Array.from(weights, (weight) => -weight / total) };
}
