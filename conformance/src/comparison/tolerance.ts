// How far two correct backends may be apart at the end of a whole model. Guaranteed bounds explode over many layers, so
// the tolerance is estimated: the reference runs several times with every operation's output moved at random within its
// derived bound, and a multiple of the largest deviation in a row is allowed in that row. What runs may be a whole
// program, a script of runs on caches, or (parity/walk.ts) one operation after another.

import { type Rounding, reference } from "@polyllama/backend-reference";
import type { Graph, Tensor, ValueName, WeightSource } from "@polyllama/core";
import { type Device, type HostStep, loadGraph } from "@polyllama/core/device";
import { allowance, perturbedRuns } from "./constants.ts";
import { type Measured, measure } from "./measure.ts";

/** What a value is, and how far a backend may be from it. */
export interface Tolerance {
  /** The exact value [N, width], float64. */
  readonly exact: Tensor;
  /** Allowed difference for every element of a row, [N]. */
  readonly perRow: Float64Array;
}

/** How a tolerance is estimated. */
export interface ToleranceOptions {
  /** Perturbed runs; default 16. */
  readonly runs?: number;
  readonly seed?: number;
}

/** A tolerance that allows nothing yet. */
export function noTolerance(exact: Tensor): Tolerance {
  return { exact, perRow: new Float64Array(exact.shape[0]) };
}

/** Lets a tolerance allow, in every row, a multiple of the largest deviation of a perturbed run. */
export function widen({ exact, perRow }: Tolerance, { data }: Tensor): void {
  const width = exact.shape[1];
  for (let i = 0; i < data.length; i++) {
    const n = Math.floor(i / width);
    perRow[n] = Math.max(perRow[n]!, allowance * Math.abs(data[i]! - exact.data[i]!));
  }
}

/**
 * Tolerances of everything that `run` gives on the reference, for a backend that rounds as declared.
 *
 * @param seeds One for each perturbed run.
 */
export async function estimateTolerances(
  run: (device: Device) => Promise<readonly Tensor[]>,
  rounding: Rounding,
  seeds: readonly number[],
): Promise<readonly Tolerance[]> {
  await using exactly = reference();
  const tolerances = (await run(exactly)).map(noTolerance);
  for (const seed of seeds) {
    await using perturbed = reference({ perturb: { rounding, seed } });
    const moved = await run(perturbed);
    for (const [i, tolerance] of tolerances.entries()) widen(tolerance, moved[i]!); // the same values each time
  }
  return tolerances;
}

/** Exact value and tolerance of one value of a graph, for a backend that rounds as declared. */
export async function estimateTolerance(
  graph: Graph,
  weights: WeightSource,
  step: HostStep,
  wanted: ValueName,
  rounding: Rounding,
  { runs = perturbedRuns, seed = 1 }: ToleranceOptions = {},
): Promise<Tolerance> {
  const run = async (device: Device): Promise<readonly Tensor[]> => {
    await using loaded = await loadGraph(device, graph, weights, { wanted: [wanted] });
    return await loaded.run(step, [wanted]); // before it is disposed
  };
  const seeds = Array.from({ length: runs }, (_, i) => seed * 1000 + i);
  const [tolerance] = await estimateTolerances(run, rounding, seeds);
  return tolerance!; // one value was asked for
}

/** Some rows of a tolerance. */
export function toleranceRows({ exact, perRow }: Tolerance, first: number, count: number): Tolerance {
  const width = exact.shape[1];
  const data = exact.data.subarray(first * width, (first + count) * width);
  return { exact: { shape: [count, width], data }, perRow: perRow.subarray(first, first + count) };
}

/** Holds a value to a tolerance. */
export function measureTolerance(value: Tensor, { exact, perRow }: Tolerance): Measured {
  return measure(value, exact, (row) => perRow[row]!);
}

/** Largest difference between a value and the exact one, as a share of the row's tolerance: at most 1 passes. */
export function worstShare(value: Tensor, tolerance: Tolerance): number {
  return measureTolerance(value, tolerance).worst;
}

/** Whether two arrays are the same to the last bit. */
export function equalBits(a: Tensor["data"], b: Tensor["data"]): boolean {
  return a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
}
