// With s = sigmoid(gate): gate = cotangent * up * s (1 + gate (1 - s)), up = cotangent * gate s

import type { SwigluGradNode } from "@polyllama/core";
import { leastStep, type Rounding } from "../bounds.ts";
import { type Matrix, map } from "../matrix.ts";
import { given, type Running, type RunningArithmetic, runningArithmetic } from "../running.ts";
import type { Evaluated, Operands } from "./evaluator.ts";

export function evaluateSwigluGrad(
  node: SwigluGradNode,
  { value }: Operands,
): { readonly gate: Evaluated; readonly up: Evaluated } {
  const [gate, up, cotangent] = [value(node.gate), value(node.up), value(node.cotangent)];
  const each = (compute: (gate: number, up: number, cotangent: number) => number): Matrix =>
    map(gate, (z, i) => compute(z, up.data[i]!, cotangent.data[i]!));
  const bounded =
    (grad: RunningGrad) =>
    (rounding: Rounding): Matrix => {
      const a = runningArithmetic(rounding);
      return each((z, u, dy) => grad(a, given(z), runningSigmoid(z, rounding), given(u), given(dy)).error);
    };
  return {
    gate: { exact: () => each(gateGrad), bound: bounded(runningGateGrad) },
    up: { exact: () => each((z, _, dy) => dy * z * sigmoid(z)), bound: bounded(runningUpGrad) },
  };
}

function sigmoid(z: number): number {
  return 1 / (1 + Math.exp(-z));
}

function gateGrad(z: number, up: number, cotangent: number): number {
  const s = sigmoid(z);
  return cotangent * up * s * (1 + z * (1 - s));
}

type RunningGrad = (a: RunningArithmetic, z: Running, s: Running, up: Running, cotangent: Running) => Running;

const runningGateGrad: RunningGrad = (a, z, s, up, cotangent) => {
  const slope = a.multiply(s, a.add(given(1), a.multiply(z, a.subtract(given(1), s))));
  return a.multiply(a.multiply(cotangent, up), slope);
};

const runningUpGrad: RunningGrad = (a, z, s, _, cotangent) => a.multiply(cotangent, a.multiply(z, s));

/** exp, the sum and the division; where exp overflows f32, the sigmoid is below 2^-127. See `swiglu`. */
function runningSigmoid(z: number, rounding: Rounding): Running {
  const { unit, exp, division = 1, sigmoidAbsolute = 0 } = rounding;
  const value = sigmoid(z);
  const overflow = unit < 2 ** -30 ? 0 : 2 ** -126;
  const absolute = sigmoidAbsolute * unit + leastStep(rounding) + overflow;
  return { value, error: (exp + 1 + division) * unit * value + absolute };
}
