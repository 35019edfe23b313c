// How far a backend that rounds as it declares may be from the exact result. Bounds are derived, not tuned; each op's
// file has its own, on these foundations.

import type { RoundingProfile } from "@polyllama/core";

/** The part of a rounding profile that bounds of single operations follow from. */
export type Rounding = Pick<
  RoundingProfile,
  | "unit"
  | "flushesSubnormals"
  | "exp"
  | "division"
  | "inverseSqrt"
  | "sigmoidAbsolute"
  | "apartOffsets"
  | "int8Activations"
  | "tensorCores"
  | "trainingProducts"
> &
  Partial<Pick<RoundingProfile, "cache">>;

/**
 * Error of a sum of k rounded products, in units of `unit * sum |x y|`. Whatever the order, it is at most k (Higham,
 * "Accuracy and Stability of Numerical Algorithms", section 3.1); roundings that are independent grow like sqrt(k), and
 * 6 sqrt(k) is exceeded with a probability below 1e-8 (Higham and Mary, SIAM J. Sci. Comput. 41, 2019).
 */
export function dotError(k: number): number {
  return Math.min(6 * Math.sqrt(k), k);
}

/**
 * Error of one operation whose result is too small for the unit to be relative: half of the least subnormal of the
 * format, or the least normal number where subnormals become zero. For f32, and nothing at all for float64.
 */
export function leastStep({ unit, flushesSubnormals }: Rounding): number {
  if (flushesSubnormals) return 2 ** -126;
  return unit < 2 ** -30 ? 0 : 2 ** -150;
}

/** What an operand may lose before it is used: all of it, where it is subnormal and subnormals become zero. */
export function operandStep({ flushesSubnormals }: Rounding): number {
  return flushesSubnormals ? 2 ** -126 : 0;
}
