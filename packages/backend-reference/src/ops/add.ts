// y = a + b

import type { AddNode } from "@polyllama/core";
import { leastStep, operandStep, type Rounding } from "../bounds.ts";
import { type Matrix, map } from "../matrix.ts";
import type { Evaluated, Operands } from "./evaluator.ts";

export function evaluateAdd(node: AddNode, { value }: Operands): Evaluated {
  const y = add(value(node.a), value(node.b));
  return { exact: () => y, bound: (rounding) => addBound(y, rounding) };
}

/** a, b [N, D] -> [N, D] */
function add(a: Matrix, b: Matrix): Matrix {
  return { ...a, data: a.data.map((value, i) => value + b.data[i]!) };
}

/** One rounding, of operands that may have been flushed. */
function addBound(y: Matrix, rounding: Rounding): Matrix {
  const absolute = leastStep(rounding) + 2 * operandStep(rounding);
  return map(y, (value) => Math.abs(value) * rounding.unit + absolute);
}
