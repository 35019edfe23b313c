// Exact: a row of the table is copied.

import { PolyllamaError } from "@polyllama/core";
import { type Matrix, matrix } from "../matrix.ts";

/** table [V, D], tokens [N] -> [N, D] */
export function embedding(tokens: Int32Array, table: Float32Array, dim: number): Matrix {
  const vocabSize = table.length / dim;
  const y = matrix(tokens.length, dim); // [N, D]
  tokens.forEach((token, n) => {
    if (token < 0 || token >= vocabSize) {
      throw new PolyllamaError("ERR_GRAPH", `Row ${n}: token ${token} is outside the vocabulary of ${vocabSize}.`);
    }
    y.data.set(table.subarray(token * dim, (token + 1) * dim), n * dim);
  });
  return y;
}
