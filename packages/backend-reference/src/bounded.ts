// Values together with how far others may be from them: what conformance judges by.

import type { Tensor } from "@polyllama/core";
import { type HostStep, hostOutput, type LoadedGraph, type Wanted } from "@polyllama/core/device";
import type { Rounding } from "./bounds.ts";
import type { BoundedOutput, BoundedValue } from "./executor.ts";

/** An exact value, and how far a backend may be from each element when the operation's inputs are exact. */
export interface BoundedTensor {
  /** [rows, width] */
  readonly value: Tensor;
  /** [rows, width], not negative. */
  readonly bound: Tensor;
}

/**
 * Like `run` of a graph on the reference; values that no operation computes have a bound of zero.
 *
 * @param loaded On a device that `reference()` gave.
 * @param rounding What the bounds follow from, of whoever is judged.
 * @throws what `LoadedGraph.run` throws
 */
export async function runWithBounds(
  loaded: Pick<LoadedGraph, "submit">,
  step: HostStep,
  wanted: readonly Wanted[],
  rounding: Rounding,
  signal?: AbortSignal,
): Promise<readonly BoundedTensor[]> {
  const outputs = wanted.map((each): BoundedOutput => ({ ...hostOutput(each), rounding }));
  const values = await loaded.submit(step, outputs, signal).result;
  return values.map((value) => {
    const { tensor, bound } = value as BoundedValue; // as such outputs give
    return { value: tensor, bound };
  });
}
