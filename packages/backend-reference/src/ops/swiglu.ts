// y = silu(gate) * up, silu(z) = z / (1 + exp(-z))

import type { SwigluNode } from "@polyllama/core";
import { leastStep, type Rounding } from "../bounds.ts";
import { type Matrix, map } from "../matrix.ts";
import type { Evaluated, Operands } from "./evaluator.ts";

export function evaluateSwiglu(node: SwigluNode, { value }: Operands): Evaluated {
  const [gate, up] = [value(node.gate), value(node.up)];
  return { exact: () => swiglu(gate, up), bound: (rounding) => swigluBound(gate, up, rounding) };
}

/** gate, up [N, F] -> [N, F] */
function swiglu(gate: Matrix, up: Matrix): Matrix {
  return { ...gate, data: gate.data.map((z, i) => (z / (1 + Math.exp(-z))) * up.data[i]!) };
}

/**
 * exp, the sum, the division and two products; where exp overflows f32, silu itself is below its least normal number. A
 * sigmoid that is subnormal may be flushed.
 */
export function swigluBound(gate: Matrix, up: Matrix, rounding: Rounding): Matrix {
  const { unit, exp, division = 1, sigmoidAbsolute = 0 } = rounding;
  const relative = (exp + division + 3) * unit;
  const absolute = sigmoidAbsolute * unit + leastStep(rounding);
  const overflow = unit < 2 ** -30 ? 0 : 2 ** -120;
  return map(swiglu(gate, up), (value, i) => {
    const product = Math.abs(gate.data[i]! * up.data[i]!);
    return Math.abs(value) * relative + product * absolute + overflow * (1 + Math.abs(up.data[i]!));
  });
}
