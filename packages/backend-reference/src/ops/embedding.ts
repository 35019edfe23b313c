// Exact: a row of the table is copied.

import { type EmbeddingNode, PolyllamaError, type RealArray } from "@polyllama/core";
import { type Matrix, matrix } from "../matrix.ts";
import type { Evaluated, Operands } from "./evaluator.ts";

export function evaluateEmbedding(node: EmbeddingNode, { tokens, weight, width }: Operands): Evaluated {
  const y = embedding(tokens(node.tokens), weight(node.table).values, width(node.output));
  return { exact: () => y, bound: () => matrix(y.rows, y.width) };
}

/** table [V, D], tokens [N] -> [N, D] */
function embedding(tokens: Int32Array, table: RealArray, dim: number): Matrix {
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
