// How far a product of two matrices may be from the exact one where tensor cores multiply them in training, beyond sums in
// f32: both operands are rounded first, and sums are cut off. docs/tolerances.md has the derivation.

import type { ProductRounding } from "@polyllama/core";
import type { Rounding } from "./bounds.ts";
import type { LoadedWeight } from "./loaded-weight.ts";
import { type Matrix, matrix, row } from "./matrix.ts";
import { cutError, hoeffding } from "./tensor-cores.ts";

/** f32's least step: what is cut off at, where sums are subnormal. */
const leastSum = 2 ** -149;

/** How products with this weight are rounded in training, where they are. */
export function productsWith({ info }: LoadedWeight, { trainingProducts }: Rounding): ProductRounding | undefined {
  return trainingProducts?.formats.includes(info.format) ? trainingProducts : undefined;
}

/** A weight's rows of so many columns. */
export function rowsOf({ values }: LoadedWeight, width: number): Matrix {
  return { rows: values.length / width, width, data: Float64Array.from(values) };
}

/** A row of an operand, and what rounding does to it. */
interface RoundedRow {
  readonly values: Float64Array;
  /** Of each element. */
  readonly errors: Float64Array;
  /** Where magnitudes occur more than once, which are rounded alike: which of them each element has, and their errors. */
  readonly groups: { readonly of: Int32Array; readonly errors: Float64Array } | undefined;
}

/** a [R, D], b [C, D], whose products are summed over D -> [R, C] */
export function roundedProductError(a: Matrix, b: Matrix, rounding: ProductRounding): Matrix {
  const { unit, truncation } = rounding;
  const [left, right] = [roundRows(a, rounding), roundRows(b, rounding)];
  const bound = matrix(a.rows, b.rows);
  const sums = new Float64Array(a.width);
  for (const [r, x] of left.entries()) {
    for (const [c, y] of right.entries()) {
      let both = 0;
      for (let k = 0; k < sums.length; k++) both += x.errors[k]! * y.errors[k]!; // one for each
      const inherited = groupedError(x, y.values, sums) + groupedError(y, x.values, sums) + both;
      bound.data[r * b.rows + c] = inherited + cutError(x.values, y.values, unit, truncation, leastSum);
    }
  }
  return bound;
}

function roundRows(x: Matrix, { unit, least }: ProductRounding): readonly RoundedRow[] {
  return Array.from({ length: x.rows }, (_, n) => {
    const values = row(x, n); // [D]
    const errorOf = (value: number): number => (value === 0 ? 0 : unit * Math.abs(value) + least);
    const numbers = new Map<number, number>();
    const of = Int32Array.from(values, (value) => {
      const size = Math.abs(value);
      const known = numbers.get(size);
      if (known === undefined) numbers.set(size, numbers.size);
      return known ?? numbers.size - 1;
    });
    const groups =
      numbers.size < values.length ? { of, errors: Float64Array.from(numbers.keys(), errorOf) } : undefined;
    return { values, errors: values.map(errorOf), groups };
  });
}

/** The error of each magnitude meets the sum of the other operand's elements, with the signs that it has there. */
function groupedError({ values, errors, groups }: RoundedRow, others: Float64Array, sums: Float64Array): number {
  let squares = 0;
  let total = 0;
  const addError = (error: number): void => {
    squares += error * error;
    total += Math.abs(error);
  };
  if (groups === undefined) {
    for (let k = 0; k < others.length; k++) addError(errors[k]! * others[k]!); // one for each
    return hoeffding(squares, total);
  }
  const { of, errors: ofGroups } = groups;
  sums.fill(0, 0, ofGroups.length);
  for (let k = 0; k < others.length; k++) {
    const other = others[k]!; // likewise
    sums[of[k]!]! += values[k]! < 0 ? -other : other;
  }
  for (let g = 0; g < ofGroups.length; g++) addError(ofGroups[g]! * sums[g]!); // there are fewer than elements
  return hoeffding(squares, total);
}
