// The memory that the outputs of a step are collected in: of each value the rows that any of them wants, one
// behind the other.

import type { Graph, ValueName } from "@polyllama/core";
import type { Output } from "@polyllama/core/device";
import { type ComputedRows, rowsToCompute } from "./outputs.ts";

/** A part of them: consecutive places for rows of the step. */
export interface RowsWithin {
  /** Rows of the step, ascending. */
  readonly rows: readonly number[];
  /** [rows, width] */
  readonly data: Float32Array;
}

/** The wanted rows of a value. */
export class WantedRows implements ComputedRows {
  readonly width: number;
  readonly #rows: readonly number[];
  readonly #data: Float32Array; // [rows, width]
  #taken = false;

  /** @param rows Of the step, ascending. */
  constructor(width: number, rows: readonly number[]) {
    this.width = width;
    this.#rows = rows;
    this.#data = new Float32Array(rows.length * width);
  }

  /** Those of `count` rows of the step from `first` on. */
  within(first: number, count: number): RowsWithin {
    const [start, end] = [this.#indexOf(first), this.#indexOf(first + count)];
    return { rows: this.#rows.slice(start, end), data: this.#data.subarray(start * this.width, end * this.width) };
  }

  row(n: number): Float32Array {
    const start = this.#indexOf(n) * this.width;
    return this.#data.subarray(start, start + this.width);
  }

  take(rows: readonly number[]): Float32Array {
    if (rows.length === this.#rows.length && !this.#taken) {
      this.#taken = true; // as there are no others, these are the ones
      return this.#data;
    }
    const copy = new Float32Array(rows.length * this.width);
    for (const [i, n] of rows.entries()) copy.set(this.row(n), i * this.width);
    return copy;
  }

  /** How many of them stand before a row of the step. */
  #indexOf(n: number): number {
    let [low, high] = [0, this.#rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#rows[middle]! < n) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** What an output wants: rows of the step. */
export interface WantedOutput {
  readonly output: Output;
  readonly rows: readonly number[];
}

/** Memory for all values that outputs want. */
export function wantedRows(graph: Graph, outputs: readonly WantedOutput[]): ReadonlyMap<ValueName, WantedRows> {
  const byValue = new Map<ValueName, (readonly number[])[]>();
  for (const { output, rows } of outputs) {
    byValue.set(output.value, [...(byValue.get(output.value) ?? []), rowsToCompute(output, rows)]);
  }
  return new Map([...byValue].map(([value, lists]) => [value, new WantedRows(graph.widths.get(value)!, union(lists))]));
}

function union(lists: readonly (readonly number[])[]): readonly number[] {
  if (lists.length === 1) return lists[0]!;
  return [...new Set(lists.flat())].sort((a, b) => a - b);
}
