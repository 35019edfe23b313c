// A value of the graph while it is computed: rows of float64.

export interface Matrix {
  /** N */
  readonly rows: number;
  readonly width: number;
  /** [N, width], row after row. */
  readonly data: Float64Array;
}

export function matrix(rows: number, width: number): Matrix {
  return { rows, width, data: new Float64Array(rows * width) };
}

/** A view of one row. */
export function row({ data, width }: Matrix, n: number): Float64Array {
  return data.subarray(n * width, (n + 1) * width);
}

/** The given rows, copied, in the given order. */
export function takeRows(x: Matrix, rows: readonly number[]): Matrix {
  const result = matrix(rows.length, x.width);
  rows.forEach((n, i) => {
    result.data.set(row(x, n), i * x.width);
  });
  return result;
}

/** A new matrix of a function of every element. */
export function map(x: Matrix, change: (value: number, index: number) => number): Matrix {
  return { ...x, data: x.data.map(change) };
}
