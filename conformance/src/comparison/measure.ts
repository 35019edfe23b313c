// Holding values against exact ones, element by element: the one place where an error becomes a share of what is
// allowed.

import type { Tensor } from "@polyllama/core";

/** How wide bounds were, over all elements that were held to one. */
export interface Width {
  readonly sum: number;
  readonly largest: number;
  readonly count: number;
}

/** What a comparison found. */
export interface Finding {
  /**
   * Largest error as a share of what is allowed: at most 1 passes. Infinity for NaN, and for any error where none is
   * allowed.
   */
  readonly worst: number;
  /** What is wrong and where; undefined where nothing is. */
  readonly problem: string | undefined;
  /** Of bounds that do not depend on what the backend computed. */
  readonly width?: Width;
}

/** A finding of one tensor. */
export interface Measured extends Finding {
  /** Row of the worst share. */
  readonly row: number;
  readonly width: Width;
}

/** Nothing was compared, or exactly equal. */
export const exact: Finding = { worst: 0, problem: undefined };

/** A finding that no number describes. */
export function wrong(problem: string): Finding {
  return { worst: Infinity, problem };
}

/** Two findings as one: the larger share, the first problem. */
export function both(a: Finding, b: Finding): Finding {
  const width = a.width && b.width ? sumOf(a.width, b.width) : (a.width ?? b.width);
  return { worst: Math.max(a.worst, b.worst), problem: a.problem ?? b.problem, ...(width && { width }) };
}

function sumOf(a: Width, b: Width): Width {
  return { sum: a.sum + b.sum, largest: Math.max(a.largest, b.largest), count: a.count + b.count };
}

/** A finding with the place that its problem is at. */
export function at(place: string, finding: Finding): Finding {
  return finding.problem === undefined ? finding : { ...finding, problem: `${place}: ${finding.problem}` };
}

/** The finding without its width, where bounds follow from what the backend itself computed. */
export function withoutWidth({ worst, problem }: Finding): Finding {
  return { worst, problem };
}

/**
 * Largest error of a value as a share of what is allowed for each element.
 *
 * @param expected The exact value [N, width], or [N, columns.length]
 * @param allowed By row and by index into the exact value.
 * @param columns Where the exact columns stand in `actual`, when they are a sample; the others must be finite and, as
 * no exact zero is to be expected, not zero.
 */
export function measure(
  actual: Tensor,
  expected: Tensor,
  allowed: (row: number, index: number) => number,
  columns?: readonly number[],
): Measured {
  const [rows, width] = expected.shape;
  const actualWidth = actual.shape[1];
  if (actual.shape[0] !== rows || (columns === undefined && actualWidth !== width)) {
    const problem = `shape [${actual.shape}] instead of [${expected.shape}]`;
    return { worst: Infinity, problem, row: 0, width: { sum: 0, largest: 0, count: 0 } };
  }
  const columnOf = (i: number): number => columns?.[i % width] ?? i % width;
  const valueAt = (i: number): number => actual.data[Math.floor(i / width) * actualWidth + columnOf(i)]!;
  let worst = 0;
  let worstAt = 0;
  let sum = 0;
  let largest = 0;
  for (let i = 0; i < expected.data.length; i++) {
    const limit = allowed(Math.floor(i / width), i);
    sum += limit;
    if (limit > largest) largest = limit;
    const error = Math.abs(valueAt(i) - expected.data[i]!);
    const share = error === 0 ? 0 : error / limit; // what is exact may allow nothing
    if (share <= worst || worst === Infinity) continue;
    worst = Number.isNaN(share) ? Infinity : share;
    worstAt = i;
  }
  const row = Math.floor(worstAt / width);
  const found = { worst, row, width: { sum, largest, count: expected.data.length } };
  if (worst > 1) {
    const numbers = [valueAt(worstAt), expected.data[worstAt]!, allowed(row, worstAt)].map((x) => x.toPrecision(9));
    const [got, value, limit] = numbers;
    const place = `row ${row}, column ${columnOf(worstAt)}`;
    return { ...found, problem: `${place}: ${got} instead of ${value}, where ${limit} is allowed` };
  }
  const unwritten = columns === undefined ? -1 : actual.data.findIndex((got) => !Number.isFinite(got) || got === 0);
  if (unwritten < 0) return { ...found, problem: undefined };
  const place = `row ${Math.floor(unwritten / actualWidth)}, column ${unwritten % actualWidth}`;
  return { ...found, worst: Infinity, problem: `${place}: ${actual.data[unwritten]}, which looks unwritten` };
}
