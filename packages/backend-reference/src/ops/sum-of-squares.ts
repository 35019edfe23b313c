// out = sum of x^2

import type { SumOfSquaresNode } from "@polyllama/core";
import { dotError, leastStep } from "../bounds.ts";
import { type Matrix, map, matrix } from "../matrix.ts";
import type { Evaluated, Operands } from "./evaluator.ts";

export function evaluateSumOfSquares(node: SumOfSquaresNode, { value }: Operands): Evaluated {
  const x = value(node.x);
  return {
    exact: () => sumOfSquares(x),
    bound: (rounding) => {
      const k = x.data.length;
      return map(sumOfSquares(x), (sum) => dotError(k) * rounding.unit * sum + k * leastStep(rounding));
    },
  };
}

/** x of any shape -> [1, 1] */
function sumOfSquares(x: Matrix): Matrix {
  const y = matrix(1, 1);
  for (const value of x.data) y.data[0]! += value ** 2;
  return y;
}
