// x = cotangent weight

import { type LinearInputGradNode, type RealArray, UnsupportedError } from "@polyllama/core";
import { dotError, leastStep } from "../bounds.ts";
import { add, type Matrix, map, matrix, transpose } from "../matrix.ts";
import { productsWith, roundedProductError, rowsOf } from "../rounded-products.ts";
import type { Evaluated, Operands } from "./evaluator.ts";

export function evaluateLinearInputGrad(node: LinearInputGradNode, { value, weight, sequences }: Operands): Evaluated {
  const [cotangent, loaded] = [value(node.cotangent), weight(node.weight)];
  const w = loaded.values;
  if (sequences.some(({ adapter }) => adapter !== undefined)) {
    const problem = `${node.op} ${node.output}: gradients do not pass through adapters`;
    throw new UnsupportedError(problem, "Leave the adapter out.", { op: node.op });
  }
  return {
    exact: () => inputGrad(cotangent, w),
    bound(rounding) {
      const sizes = inputGrad(map(cotangent, Math.abs), w.map(Math.abs)); // [N, K]
      const M = cotangent.width;
      const bound = map(sizes, (sum) => dotError(M) * rounding.unit * sum + M * leastStep(rounding));
      const products = productsWith(loaded, rounding);
      if (products === undefined) return bound;
      const columns = transpose(rowsOf(loaded, bound.width)); // [K, M]
      return add(bound, roundedProductError(cotangent, columns, products));
    },
  };
}

/** cotangent [N, M], weight [M, K] -> [N, K] */
export function inputGrad(cotangent: Matrix, weight: RealArray): Matrix {
  const M = cotangent.width;
  const K = weight.length / M;
  const x = matrix(cotangent.rows, K);
  for (let n = 0; n < x.rows; n++) {
    for (let m = 0; m < M; m++) {
      const factor = cotangent.data[n * M + m]!;
      for (let k = 0; k < K; k++) x.data[n * K + k]! += factor * weight[m * K + k]!;
    }
  }
  return x;
}
