// How values of training lie on the device: rows of tokens at whole vectors, and what has a weight's shape as that weight
// lies in f32, each row of a matrix in whole units of 32 with zeros behind it, so that an optimizer goes over both alike.

import { isFixed, rowsIn } from "@polyllama/core";
import type { HostArray } from "@polyllama/core/device";
import type { TensorLayout } from "@polyllama/planner";
import type { GpuLimits } from "../gpu.ts";
import { unitsPerRow } from "../pack.ts";

/** A value's type. */
type Typed = Pick<TensorLayout, "type" | "width">;

/** Words from row to row. */
export function strideOf({ type, width }: Typed): number {
  if (type.dtype === "i32") return 1;
  if (!isFixed(type)) return 4 * Math.ceil(width / 4);
  return type.shape.length === 1 ? width : matrixStride(width);
}

/** Words from row to row of a matrix in f32, as weights are packed. */
export function matrixStride(columns: number): number {
  return 32 * unitsPerRow(columns);
}

/** Words of a value in a step of so many rows. */
export function wordsOf(value: Typed, rows: number): number {
  return rowsIn(value.type, rows) * strideOf(value);
}

/** A value from the host as it lies on the device. */
export function toWords(value: Typed, data: HostArray): Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> {
  if (data instanceof Int32Array) return Int32Array.from(data);
  return toRows(data, value.width, strideOf(value));
}

/** Rows of so many columns, so many words apart, with zeros between. */
export function toRows(data: HostArray, columns: number, stride: number): Float32Array<ArrayBuffer> {
  if (stride === columns) return Float32Array.from(data);
  const words = new Float32Array((data.length / columns) * stride);
  for (let from = 0, to = 0; from < data.length; from += columns, to += stride) {
    words.set(data.subarray(from, from + columns), to);
  }
  return words;
}

/** A value [rows, width] from what was read back. */
export function fromWords(value: Typed, words: ArrayBuffer): HostArray {
  if (value.type.dtype === "i32") return new Int32Array(words);
  return fromRows(new Float32Array(words), value.width, strideOf(value));
}

/** The inverse of {@link toRows}. */
export function fromRows(words: Float32Array, columns: number, stride: number): Float32Array<ArrayBuffer> {
  const data = new Float32Array((words.length / stride) * columns);
  for (let from = 0, to = 0; from < words.length; from += stride, to += columns) {
    data.set(words.subarray(from, from + columns), to);
  }
  return data;
}

/** Some rows of a matrix. */
export interface RowRange {
  readonly first: number;
  readonly count: number;
}

/** Workgroups along a dimension, at most. */
export const mostWorkgroups = 65535;

/** Rows of a matrix in f32 that a binding holds at once: whole eights, so that each piece begins where one may begin. */
export function bindingPieces(
  rows: number,
  stride: number,
  { maxStorageBufferBindingSize: most }: Pick<GpuLimits, "maxStorageBufferBindingSize">,
): readonly RowRange[] {
  const each = Math.min(8 * Math.floor(mostWorkgroups / 8), Math.max(8, 8 * Math.floor(most / (32 * stride))));
  return cut(rows, each);
}

/** Pieces of so many rows, the last of which may have fewer. */
export function cut(rows: number, each: number): readonly RowRange[] {
  const count = Math.ceil(rows / each);
  return Array.from({ length: count }, (_, i) => ({ first: i * each, count: Math.min(each, rows - i * each) }));
}
