// y = silu(gate) * up, silu(z) = z / (1 + exp(-z))

import type { Rounding } from "../bounds.ts";
import { type Matrix, map } from "../matrix.ts";

/** gate, up [N, F] -> [N, F] */
export function swiglu(gate: Matrix, up: Matrix): Matrix {
  return { ...gate, data: gate.data.map((z, i) => (z / (1 + Math.exp(-z))) * up.data[i]!) };
}

/** exp, the sum, the division and two products; where exp overflows f32, silu itself is below its least normal number. */
export function swigluBound(gate: Matrix, up: Matrix, rounding: Rounding): Matrix {
  const relative = (rounding.exp + 4) * rounding.unit;
  const absolute = (rounding.sigmoidAbsolute ?? 0) * rounding.unit;
  const overflow = rounding.unit < 2 ** -30 ? 0 : 2 ** -120;
  return map(swiglu(gate, up), (value, i) => {
    const product = Math.abs(gate.data[i]! * up.data[i]!);
    return Math.abs(value) * relative + product * absolute + overflow * (1 + Math.abs(up.data[i]!));
  });
}
