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

/** Where an exact value stands in a larger one of which it is a part. */
export interface Sample {
  /** Its rows; default: all. */
  readonly rows?: readonly number[];
  /** Its columns; default: all. */
  readonly columns?: readonly number[];
  /** What the rest is: finite and, as no exact zero is to be expected, not zero; or all zeros. Default `written`. */
  readonly rest?: "written" | "zeros";
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
 * @param expected The exact value [N, width], or the part of it that a sample is.
 * @param allowed By row and by index into the exact value.
 * @param sample Where that part stands in `actual`.
 */
export function measure(
  actual: Tensor,
  expected: Tensor,
  allowed: (row: number, index: number) => number,
  sample: Sample = {},
): Measured {
  const [rows, width] = expected.shape;
  const [actualRows, actualWidth] = actual.shape;
  if ((sample.rows === undefined && actualRows !== rows) || (sample.columns === undefined && actualWidth !== width)) {
    const problem = `shape [${actual.shape}] instead of [${expected.shape}]`;
    return { worst: Infinity, problem, row: 0, width: { sum: 0, largest: 0, count: 0 } };
  }
  const rowOf = (row: number): number => sample.rows?.[row] ?? row;
  const columnOf = (i: number): number => sample.columns?.[i % width] ?? i % width;
  const valueAt = (i: number): number => actual.data[rowOf(Math.floor(i / width)) * actualWidth + columnOf(i)]!;
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
    const place = `row ${rowOf(row)}, column ${columnOf(worstAt)}`;
    return { ...found, problem: `${place}: ${got} instead of ${value}, where ${limit} is allowed` };
  }
  const strange = strangeIn(actual, sample);
  return strange === undefined ? { ...found, problem: undefined } : { ...found, worst: Infinity, problem: strange };
}

/** What is wrong with values that no exact ones are known of. */
function strangeIn({ data, shape }: Tensor, { rows, columns, rest = "written" }: Sample): string | undefined {
  if (rows === undefined && columns === undefined) return undefined;
  const place = (i: number): string => `row ${Math.floor(i / shape[1])}, column ${i % shape[1]}: ${data[i]}`;
  const [known, inColumns] = [new Set(rows), new Set(columns)];
  const isKnown = (i: number): boolean =>
    (rows === undefined || known.has(Math.floor(i / shape[1]))) &&
    (columns === undefined || inColumns.has(i % shape[1]));
  for (let i = 0; i < data.length; i++) {
    const got = data[i]!;
    if (rest === "written" && (!Number.isFinite(got) || got === 0)) return `${place(i)}, which looks unwritten`;
    if (rest === "zeros" && got !== 0 && !isKnown(i)) return `${place(i)} where nothing is`;
  }
  return undefined;
}
