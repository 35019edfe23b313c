// table[v] = sum of the cotangents of the rows whose token is v

import { type EmbeddingGradNode, PolyllamaError } from "@polyllama/core";
import { dotError, leastStep } from "../bounds.ts";
import { type Matrix, map, matrix } from "../matrix.ts";
import type { Evaluated, Operands } from "./evaluator.ts";

export function evaluateEmbeddingGrad(node: EmbeddingGradNode, { tokens, value }: Operands): Evaluated {
  const [ids, cotangent] = [tokens(node.tokens), value(node.cotangent)];
  return {
    exact: () => tableGrad(ids, cotangent, node.tableRows),
    bound(rounding) {
      const D = cotangent.width;
      const counts = new Int32Array(node.tableRows);
      for (const id of ids) counts[id]!++; // all in the table, as `tableGrad` sees
      const sizes = tableGrad(ids, map(cotangent, Math.abs), node.tableRows); // [V, D]
      return map(sizes, (sum, i) => {
        const additions = Math.max(0, counts[Math.floor(i / D)]! - 1); // to the first, which is exact
        return dotError(additions) * rounding.unit * sum + additions * leastStep(rounding);
      });
    },
  };
}

/** tokens [N], cotangent [N, D] -> [V, D] */
function tableGrad(tokens: Int32Array, cotangent: Matrix, tableRows: number): Matrix {
  const D = cotangent.width;
  const table = matrix(tableRows, D);
  for (const [n, token] of tokens.entries()) {
    if (token < 0 || token >= tableRows) {
      throw new PolyllamaError("ERR_GRAPH", `Row ${n}: token ${token} is outside the table of ${tableRows} rows.`);
    }
    for (let i = 0; i < D; i++) table.data[token * D + i]! += cotangent.data[n * D + i]!;
  }
  return table;
}
