// y = silu(gate) * up, silu(z) = z / (1 + exp(-z))

import type { Rounding } from "../bounds.ts";
import type { Matrix } from "../matrix.ts";

/** gate, up [N, F] -> [N, F] */
export function swiglu(gate: Matrix, up: Matrix): Matrix {
  return { ...gate, data: gate.data.map((z, i) => (z / (1 + Math.exp(-z))) * up.data[i]!) };
}

/** exp, the sum, the division and two products; far below zero exp overflows in f32, where silu is subnormal anyway. */
export function swigluBound(gate: Matrix, up: Matrix, { unit, exp }: Rounding): Matrix {
  const y = swiglu(gate, up);
  return {
    ...y,
    data: y.data.map((value, i) => Math.abs(value) * (exp + 4) * unit + 2 ** -120 * Math.abs(up.data[i]!)),
  };
}
