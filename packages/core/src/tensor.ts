// Matrices of real numbers on the host.

/** Real numbers, in the precision in which they were computed. */
export type RealArray = Float32Array | Float64Array;

/** A matrix, row by row. */
export interface Tensor {
  /** [rows, width] */
  readonly shape: readonly [number, number];
  readonly data: RealArray;
}
