// How values of training lie in memory: rows of tokens behind one another, and what has a weight's shape as that weight
// lies, matrices in groups of 16 interleaved rows, zeros behind their last row.

import { isFixed, type RealArray, rowsIn, type TensorType, widthOf } from "@polyllama/core";
import type { HostArray } from "@polyllama/core/device";
import { groupRows } from "../modes.ts";

/** Rows of activations of some width begin at whole cache lines. */
const padding = 16;

/** A value's type. */
interface Typed {
  readonly type: TensorType;
  readonly width: number;
}

/** Words from row to row of what has a row for each row of a step. */
export function strideOf({ width }: Pick<Typed, "width">): number {
  return width < padding ? width : Math.ceil(width / padding) * padding;
}

/** Whether a value lies in groups of rows. */
function isGrouped({ type }: Pick<Typed, "type">): boolean {
  return isFixed(type) && type.shape.length === 2;
}

/** Words of a value in a step of so many rows. */
export function wordsOf(value: Typed, rows: number): number {
  const { type, width } = value;
  if (!isFixed(type)) return rows * strideOf(value);
  return isGrouped(value) ? groupedWords(rowsIn(type, 0), width) : widthOf(type);
}

/** Words of a matrix in groups. */
export function groupedWords(rows: number, columns: number): number {
  return Math.ceil(rows / groupRows) * groupRows * columns;
}

/** Writes a value from the host. */
export function toMemory(value: Typed, rows: number, data: HostArray, memory: Float32Array): void {
  const { width } = value;
  if (data instanceof Int32Array) new Int32Array(memory.buffer, memory.byteOffset, data.length).set(data);
  else if (isGrouped(value)) intoGroups(data, width, memory);
  else if (isFixed(value.type) || strideOf(value) === width) memory.set(data);
  else {
    const stride = strideOf(value);
    for (let n = 0; n < rows; n++) memory.set(data.subarray(n * width, (n + 1) * width), n * stride);
  }
}

/** Reads a value [rows, width]. */
export function fromMemory(value: Typed, rows: number, memory: Float32Array): HostArray {
  const { type, width } = value;
  if (type.dtype === "i32") return new Int32Array(memory.buffer, memory.byteOffset, rows).slice();
  const count = rowsIn(type, rows);
  if (isGrouped(value)) return fromGroups(memory, 0, count, width);
  if (isFixed(type) || strideOf(value) === width) return memory.slice(0, count * width);
  const data = new Float32Array(count * width);
  const stride = strideOf(value);
  for (let n = 0; n < count; n++) data.set(memory.subarray(n * stride, n * stride + width), n * width);
  return data;
}

/** data [rows, columns] into groups. */
export function intoGroups(data: RealArray, columns: number, memory: Float32Array): void {
  const rows = data.length / columns;
  memory.fill(0, Math.floor(rows / groupRows) * groupRows * columns);
  for (let m = 0, at = 0; m < rows; m++) {
    let to = Math.floor(m / groupRows) * groupRows * columns + (m % groupRows);
    for (let k = 0; k < columns; k++, to += groupRows) memory[to] = data[at++]!; // one for each place
  }
}

/** Rows of a matrix in groups [count, columns]. */
export function fromGroups(memory: Float32Array, first: number, count: number, columns: number): Float32Array {
  const data = new Float32Array(count * columns);
  for (let m = first, to = 0; m < first + count; m++) {
    let at = Math.floor(m / groupRows) * groupRows * columns + (m % groupRows);
    for (let k = 0; k < columns; k++, at += groupRows) data[to++] = memory[at]!; // likewise
  }
  return data;
}
