// What a value of the graph is: its element type and its shape. Most dimensions are known when the graph is built;
// those that only a step knows have names.

import type { FormatName } from "./formats.ts";

/**
 * Elements along a dimension. Known at run time alone are `rows`, all token rows of a step; `targets`, the rows whose
 * logits are wanted; `sequences`, one row each.
 */
export type Dim = number | "rows" | "targets" | "sequences";

/** A value's element type and shape. */
export interface TensorType {
  /**
   * What is computed is `f32`, in the precision of the backend; tokens are `i32`. Parameters count as what they stand
   * for, `f32`.
   */
  readonly dtype: "i32" | FormatName;
  /** [rows] for tokens, [rows, width] for activations, [D] or [M, K] for parameters and their gradients. */
  readonly shape: readonly Dim[];
}

/** Token ids [N]. */
export const tokenRows: TensorType = { dtype: "i32", shape: ["rows"] };

/** Reals [N, width]. */
export function activationRows(width: number): TensorType {
  return { dtype: "f32", shape: ["rows", width] };
}

/** Reals of a shape that does not depend on the step: [D], [M, K]. */
export function fixedShape(shape: readonly number[]): TensorType {
  return { dtype: "f32", shape };
}

/** Whether a value has the same shape in every step, as gradients of parameters have. */
export function isFixed({ shape }: TensorType): boolean {
  return shape.every((dim) => typeof dim === "number");
}

/** Rows of a value in a step of `rows` rows; a vector of fixed length is one row. */
export function rowsIn({ shape: [first, ...others] }: TensorType, rows: number): number {
  if (typeof first !== "number") return rows;
  return others.length === 0 ? 1 : first;
}

/** Elements in a row: the last dimension, or 1 where rows are all there is. */
export function widthOf({ shape }: TensorType): number {
  const last = shape.at(-1);
  return typeof last === "number" ? last : 1;
}

/** "f32 [rows, 64]" */
export function showType({ dtype, shape }: TensorType): string {
  return `${dtype} [${shape.join(", ")}]`;
}
