// AdamW with the gradient clipped to a global norm: the formulas stand in core's record.

import type { AdamWNode } from "@polyllama/core";
import type { Rounding } from "../bounds.ts";
import { type Matrix, map, matrix } from "../matrix.ts";
import { given, type Running, type RunningArithmetic, runningArithmetic } from "../running.ts";
import type { Evaluated, Operands } from "./evaluator.ts";

/** New numbers, of an element. */
interface Updated<T> {
  readonly weight: T;
  readonly firstMoment: T;
  readonly secondMoment: T;
}

export function evaluateAdamW(node: AdamWNode, { value, weight }: Operands): Updated<Evaluated> {
  const gradient = value(node.gradient);
  const [squares = 0] = value(node.squares).data;
  const settings = value(node.settings).data; // [3]
  const [w, m, v] = [node.weight, node.firstMoment, node.secondMoment].map((name) => weight(name).values);
  const factor = Math.min(1, node.maxNorm / Math.sqrt(squares));
  const state = (i: number): Updated<number> => {
    return { weight: w![i]!, firstMoment: m![i]!, secondMoment: v![i]! }; // as large as the gradient
  };
  const evaluated = (role: keyof Updated<number>): Evaluated => ({
    exact: () => map(gradient, (g, i) => adamw(factor * g, state(i), settings, node)[role]),
    bound: (rounding) => bound(gradient, squares, state, settings, node, rounding, role),
  });
  return {
    weight: evaluated("weight"),
    firstMoment: evaluated("firstMoment"),
    secondMoment: evaluated("secondMoment"),
  };
}

function adamw(g: number, before: Updated<number>, settings: Float64Array, node: AdamWNode): Updated<number> {
  const [rate = 0, correction1 = 1, correction2 = 1] = settings;
  const { beta1, beta2, eps, weightDecay } = node;
  const firstMoment = beta1 * before.firstMoment + (1 - beta1) * g;
  const secondMoment = beta2 * before.secondMoment + (1 - beta2) * g ** 2;
  const step = firstMoment / correction1 / (Math.sqrt(secondMoment / correction2) + eps);
  return { weight: before.weight * (1 - rate * weightDecay) - rate * step, firstMoment, secondMoment };
}

/** The same, step by step, each with its rounding; constants are rounded once. */
function bound(
  gradient: Matrix,
  squares: number,
  state: (i: number) => Updated<number>,
  settings: Float64Array,
  { beta1, beta2, eps, weightDecay, maxNorm }: AdamWNode,
  rounding: Rounding,
  role: keyof Updated<number>,
): Matrix {
  const a = runningArithmetic(rounding);
  const constant = (value: number): Running => ({ value, error: rounding.unit * Math.abs(value) });
  const [rate = 0, correction1 = 1, correction2 = 1] = settings;
  const decay = a.subtract(given(1), a.multiply(given(rate), constant(weightDecay)));
  const factor = maxNorm ** 2 < squares ? a.multiply(constant(maxNorm), a.inverseSqrt(given(squares))) : given(1);
  const bounds = matrix(gradient.rows, gradient.width);
  for (const [i, value] of gradient.data.entries()) {
    const before = state(i);
    const g = a.multiply(factor, given(value));
    const mixed = (beta: number, old: number, now: Running): Running =>
      a.add(a.multiply(constant(beta), given(old)), a.multiply(constant(1 - beta), now));
    const firstMoment = mixed(beta1, before.firstMoment, g);
    const secondMoment = mixed(beta2, before.secondMoment, a.multiply(g, g));
    const root = a.add(squareRoot(a, a.divide(secondMoment, given(correction2))), constant(eps));
    const step = a.multiply(given(rate), a.divide(a.divide(firstMoment, given(correction1)), root));
    const weight = a.subtract(a.multiply(given(before.weight), decay), step);
    bounds.data[i] = { weight, firstMoment, secondMoment }[role].error;
  }
  return bounds;
}

/** Of what is not negative; below its error it is anything from 0 to the root of twice the error. */
function squareRoot(a: RunningArithmetic, x: Running): Running {
  if (x.value > 2 * x.error) return a.multiply(x, a.inverseSqrt(x));
  return { value: Math.sqrt(x.value), error: Math.sqrt(x.value + x.error) };
}
