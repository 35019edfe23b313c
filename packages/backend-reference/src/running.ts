// Running error analysis (Higham, "Accuracy and Stability of Numerical Algorithms", section 3.3): numbers that carry a
// bound on the error of whoever computes them with other roundings. Each operation passes on the errors of its operands
// and adds its own rounding. For ops of several steps, whose bounds are no formula that one would want to read.

import { dotError, leastStep, operandStep, type Rounding } from "./bounds.ts";

/** An exact number, and how far a computed one may be from it. */
export interface Running {
  readonly value: number;
  /** Not negative. */
  readonly error: number;
}

/** Arithmetic in which a backend's roundings add up. */
export interface RunningArithmetic {
  add(a: Running, b: Running): Running;
  subtract(a: Running, b: Running): Running;
  multiply(a: Running, b: Running): Running;
  divide(a: Running, b: Running): Running;
  /** Natural; an argument with an error makes a factor of it. */
  exp(a: Running): Running;
  /** 1 / sqrt(a), of a positive number. */
  inverseSqrt(a: Running): Running;
  /** In any order: see {@link dotError}. */
  sum(terms: readonly Running[]): Running;
  /** Sum of products, in any order. */
  dot(a: readonly Running[], b: readonly Running[]): Running;
}

/** A number that every backend has exactly. */
export function given(value: number): Running {
  return { value, error: 0 };
}

/** @param rounding Of whoever is judged. */
export function runningArithmetic(rounding: Rounding): RunningArithmetic {
  const { unit, exp, division = 1, inverseSqrt = 2 } = rounding;
  const [least, flushed] = [leastStep(rounding), operandStep(rounding)];
  /** A result with the errors that it inherits, rounded by so many units of what is computed. */
  const rounded = (value: number, inherited: number, units: number): Running => {
    return { value, error: inherited + units * unit * (Math.abs(value) + inherited) + least };
  };
  const subtract = (a: Running, b: Running): Running => rounded(a.value - b.value, a.error + b.error + 2 * flushed, 1);
  const multiply = (a: Running, b: Running): Running => {
    const [errorA, errorB] = [a.error + flushed, b.error + flushed];
    return rounded(a.value * b.value, Math.abs(a.value) * errorB + Math.abs(b.value) * errorA + errorA * errorB, 1);
  };
  const sum = (terms: readonly Running[]): Running => {
    let [value, size, inherited] = [0, 0, 0];
    for (const term of terms) {
      value += term.value;
      size += Math.abs(term.value) + term.error;
      inherited += term.error;
    }
    const additions = terms.length - 1;
    if (additions < 1) return { value, error: inherited };
    return { value, error: inherited + dotError(additions) * unit * size + terms.length * (least + flushed) };
  };
  return {
    add: (a, b) => subtract(a, { value: -b.value, error: b.error }),
    subtract,
    multiply,
    divide(a, b) {
      const value = a.value / b.value;
      const smallest = Math.abs(b.value) - b.error; // that is computed: above 0, or nothing is known
      const moved = a.error + Math.abs(value) * b.error + flushed;
      const inherited = smallest > 0 ? moved / smallest : Number.POSITIVE_INFINITY;
      return rounded(value, inherited, division);
    },
    exp(a) {
      const value = Math.exp(a.value);
      return rounded(value, value * Math.expm1(a.error), exp);
    },
    inverseSqrt(a) {
      const value = 1 / Math.sqrt(a.value);
      const smallest = a.value - a.error;
      return rounded(value, smallest > 0 ? 1 / Math.sqrt(smallest) - value : Number.POSITIVE_INFINITY, inverseSqrt);
    },
    sum,
    dot: (a, b) => sum(a.map((x, i) => multiply(x, b[i]!))), // of one length
  };
}
