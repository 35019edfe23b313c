// How values of training lie on the card: rows of tokens at whole vectors, and what has a weight's shape as that weight lies
// in f32, so that an optimizer goes over both alike. Behind the columns of the latter are zeros.

import { isFixed, rowsIn } from "@polyllama/core";
import type { HostArray } from "@polyllama/core/device";
import type { TensorLayout } from "@polyllama/planner";
import { floatPitch, vector } from "../weights/layout.ts";
import { fromRows, toRows } from "../weights/rows.ts";

/** A value's type. */
type Typed = Pick<TensorLayout, "type" | "width">;

/** Words from row to row. */
export function strideOf({ type, width }: Typed): number {
  if (type.dtype === "i32") return 1;
  if (!isFixed(type)) return vector * Math.ceil(width / vector);
  return type.shape.length === 1 ? width : floatPitch(width);
}

/** Words of a value in a step of so many rows. */
export function wordsOf(value: Typed, rows: number): number {
  return rowsIn(value.type, rows) * strideOf(value);
}

/** A value from the host as it lies on the card. */
export function toWords(value: Typed, data: HostArray): Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> {
  if (data instanceof Int32Array) return Int32Array.from(data);
  return toRows(data, value.width, strideOf(value));
}

/** A value [rows, width] from what was read back. */
export function fromWords(value: Typed, words: ArrayBuffer): HostArray {
  if (value.type.dtype === "i32") return new Int32Array(words);
  return fromRows(new Float32Array(words), value.width, strideOf(value));
}
