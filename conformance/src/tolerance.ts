// How far two correct backends may be apart at the end of a whole model. Guaranteed bounds explode over many layers, so
// the end-to-end tolerance is estimated: the reference runs sixteen times with every operation's output moved at random
// within its derived bound, and four times the largest deviation seen is allowed.

import { type Rounding, reference } from "@polyllama/backend-reference";
import {
  type Graph,
  mostProbable,
  type RealArray,
  type Step,
  type Tensor,
  type ValueName,
  type WeightSource,
} from "@polyllama/core";

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

/** Perturbed runs that a tolerance is estimated from. */
export const perturbedRuns = 16;

/** A tolerance that allows nothing yet. */
export function noTolerance(exact: Tensor): Tolerance {
  return { exact, perRow: new Float64Array(exact.shape[0]) };
}

/** Lets a tolerance allow, in every row, four times the largest deviation of a perturbed run. */
export function widen({ exact, perRow }: Tolerance, { data }: Tensor): void {
  const width = exact.shape[1];
  for (let i = 0; i < data.length; i++) {
    const n = Math.floor(i / width);
    perRow[n] = Math.max(perRow[n]!, 4 * Math.abs(data[i]! - exact.data[i]!));
  }
}

/** Exact value and tolerance of one value of a graph, for a backend that rounds as declared. */
export async function estimateTolerance(
  graph: Graph,
  weights: WeightSource,
  step: Step,
  wanted: ValueName,
  rounding: Rounding,
  { runs = perturbedRuns, seed = 1 }: ToleranceOptions = {},
): Promise<Tolerance> {
  const exact = await evaluate(graph, weights, step, wanted);
  const tolerance = noTolerance(exact);
  for (let run = 0; run < runs; run++) {
    widen(tolerance, await evaluate(graph, weights, step, wanted, { rounding, seed: seed * 1000 + run }));
  }
  return tolerance;
}

async function evaluate(
  graph: Graph,
  weights: WeightSource,
  step: Step,
  wanted: ValueName,
  perturb?: { readonly rounding: Rounding; readonly seed: number },
): Promise<Tensor> {
  await using program = await reference(perturb === undefined ? {} : { perturb }).compile(graph, weights);
  const [tensor] = await program.run(step, [wanted]);
  return tensor!;
}

/** Some rows of a tolerance. */
export function toleranceRows({ exact, perRow }: Tolerance, first: number, count: number): Tolerance {
  const width = exact.shape[1];
  const data = exact.data.subarray(first * width, (first + count) * width);
  return { exact: { shape: [count, width], data }, perRow: perRow.subarray(first, first + count) };
}

/** Largest difference between a backend's value and the exact one, as a share of the row's tolerance: at most 1 passes. */
export function worstShare(value: Tensor, { exact, perRow }: Tolerance): number {
  const width = exact.shape[1];
  let worst = 0;
  for (let i = 0; i < exact.data.length; i++) {
    const difference = Math.abs(value.data[i]! - exact.data[i]!);
    const share = difference === 0 ? 0 : difference / perRow[Math.floor(i / width)]!; // what is exact may allow nothing
    if (!(share <= worst)) worst = share; // NaN counts as worst
  }
  return worst;
}

/**
 * Share of rows whose two largest logits differ by more than twice the tolerance, and the first such row for which `logits` has
 * another most probable token, or -1.
 */
export function greedyAgreement(
  logits: Tensor,
  { exact, perRow }: Tolerance,
): { readonly decided: number; readonly wrong: number } {
  const [count, width] = exact.shape;
  let decided = 0;
  let wrong = -1;
  for (let n = 0; n < count; n++) {
    const row = exact.data.subarray(n * width, (n + 1) * width);
    const best = mostProbable(row);
    let second = -Infinity;
    row.forEach((logit, i) => {
      if (i !== best) second = Math.max(second, logit);
    });
    if (row[best]! - second <= 2 * perRow[n]!) continue;
    decided++;
    if (mostProbable(logits.data.subarray(n * width, (n + 1) * width)) !== best && wrong < 0) wrong = n;
  }
  return { decided: decided / count, wrong };
}

/** Whether two arrays are the same to the last bit. */
export function equalBits(a: RealArray, b: RealArray): boolean {
  return a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
}
