// y = factor x

import type { ScaleNode } from "@polyllama/core";
import { leastStep, operandStep } from "../bounds.ts";
import { map } from "../matrix.ts";
import type { Evaluated, Operands } from "./evaluator.ts";

export function evaluateScale({ x, factor }: ScaleNode, { value }: Operands): Evaluated {
  const y = map(value(x), (element) => factor * element);
  return {
    exact: () => y,
    // The factor is rounded once, and the product once, of an operand that may have been flushed.
    bound(rounding) {
      const { unit } = rounding;
      const absolute = leastStep(rounding) + Math.abs(factor) * operandStep(rounding);
      return map(y, (element) => (2 + unit) * unit * Math.abs(element) + absolute);
    },
  };
}
