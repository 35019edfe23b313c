// weight = cotangent^T x

import type { LinearWeightGradNode } from "@polyllama/core";
import { dotError, leastStep } from "../bounds.ts";
import { add, type Matrix, map, matrix, transpose } from "../matrix.ts";
import { roundedProductError } from "../rounded-products.ts";
import type { Evaluated, Operands } from "./evaluator.ts";

export function evaluateLinearWeightGrad(node: LinearWeightGradNode, { value }: Operands): Evaluated {
  const [x, cotangent] = [value(node.x), value(node.cotangent)];
  return {
    exact: () => weightGrad(x, cotangent),
    bound(rounding) {
      const sizes = weightGrad(map(x, Math.abs), map(cotangent, Math.abs)); // [M, K]
      const bound = map(sizes, (sum) => dotError(x.rows) * rounding.unit * sum + x.rows * leastStep(rounding));
      const products = rounding.trainingProducts;
      return products ? add(bound, roundedProductError(transpose(cotangent), transpose(x), products)) : bound;
    },
  };
}

/** x [N, K], cotangent [N, M] -> [M, K] */
export function weightGrad(x: Matrix, cotangent: Matrix): Matrix {
  const [K, M] = [x.width, cotangent.width];
  const weight = matrix(M, K);
  for (let n = 0; n < x.rows; n++) {
    for (let m = 0; m < M; m++) {
      const factor = cotangent.data[n * M + m]!;
      for (let k = 0; k < K; k++) weight.data[m * K + k]! += factor * x.data[n * K + k]!;
    }
  }
  return weight;
}
