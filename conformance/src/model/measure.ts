// Holding values against exact ones.

import type { Tensor } from "@polyllama/core";
import type { Measured } from "./result.ts";

export interface MeasuredAt extends Measured {
  /** Row of the worst share. */
  readonly row: number;
}

/** Largest error of a value as a share of what is allowed per element. */
export function measure(actual: Tensor, exact: Tensor, allowed: (row: number, index: number) => number): MeasuredAt {
  if (String(actual.shape) !== String(exact.shape)) {
    return { worst: null, problem: `shape [${actual.shape}] instead of [${exact.shape}]`, row: 0 };
  }
  const width = exact.shape[1];
  let worst = 0;
  let at = 0;
  for (let i = 0; i < exact.data.length; i++) {
    const error = Math.abs(actual.data[i]! - exact.data[i]!);
    const share = error === 0 ? 0 : error / allowed(Math.floor(i / width), i);
    if (share <= worst) continue;
    worst = share;
    at = i;
    if (Number.isNaN(share)) break;
  }
  const row = Math.floor(at / width);
  if (worst <= 1) return { worst, problem: null, row };
  const [got, wanted, limit] = [actual.data[at]!, exact.data[at]!, allowed(row, at)].map((x) => x.toPrecision(9));
  const problem = `row ${row}, column ${at % width}: ${got} instead of ${wanted}, where ${limit} is allowed`;
  return { worst: Number.isFinite(worst) ? worst : null, problem, row };
}
