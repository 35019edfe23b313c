// Outputs moved at random within their bounds: how far that carries to the end of a model is the tolerance of an
// end-to-end comparison.

import type { Rounding } from "./bounds.ts";
import type { Matrix } from "./matrix.ts";
import type { Evaluated } from "./ops/evaluator.ts";

/** Random errors within the bounds of a rounding profile. */
export interface Perturbation {
  readonly rounding: Rounding;
  readonly seed: number;
}

/** The value of a node, exact or off by what somebody's roundings allow. */
export type Settle = (evaluated: Evaluated) => Matrix;

export const exactly: Settle = (evaluated) => evaluated.exact();

/** Errors are uniform in [-bound, bound], from a 32-bit xorshift. */
export function perturbed({ rounding, seed }: Perturbation): Settle {
  let state = Math.imul(seed + 1, 0x9e3779b1) || 1; // zero is xorshift's fixed point
  return (evaluated) => {
    const exact = evaluated.exact();
    const bounds = evaluated.bound(rounding).data;
    const data = exact.data.map((value, i) => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return value + bounds[i]! * ((state >>> 0) / 2 ** 31 - 1);
    });
    return { ...exact, data };
  };
}
