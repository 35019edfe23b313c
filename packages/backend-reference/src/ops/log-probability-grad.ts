// With z = cotangent ((v = target) - exp(x weight^T / temperature - logSumExp)) / temperature: x = z weight,
// weight = z^T x

import type { LogProbabilityGradNode } from "@polyllama/core";
import { dotError, leastStep, type Rounding } from "../bounds.ts";
import { type Matrix, map } from "../matrix.ts";
import { given, runningArithmetic } from "../running.ts";
import type { Evaluated, Operands } from "./evaluator.ts";
import { linear } from "./linear.ts";
import { inputGrad } from "./linear-input-grad.ts";
import { weightGrad } from "./linear-weight-grad.ts";
import { checkTargets, scoreErrors } from "./log-probability.ts";

export function evaluateLogProbabilityGrad(
  node: LogProbabilityGradNode,
  { tokens, value, weight }: Operands,
): { readonly x: Evaluated; readonly weight: Evaluated } {
  const [x, targets, { values }] = [value(node.x), tokens(node.targets), weight(node.weight)];
  const [sums, cotangent] = [value(node.logSumExp), value(node.cotangent)]; // [N, 1] each
  const V = values.length / x.width;
  checkTargets(targets, V);
  const { temperature } = node;
  const logits = (): Matrix => map(linear(x, values), (logit) => logit / temperature); // [N, V]

  /** Gradients of the logits [N, V]. */
  const logitGrads = (): Matrix =>
    map(logits(), (logit, i) => {
      const [n, v] = [Math.floor(i / V), i % V];
      const target = targets[n]!; // one for each row
      if (target < 0) return 0;
      return (cotangent.data[n]! * ((v === target ? 1 : 0) - Math.exp(logit - sums.data[n]!))) / temperature;
    });
  /** And how far they may be off [N, V]. */
  const logitGradErrors = (rounding: Rounding): Matrix => {
    const a = runningArithmetic(rounding);
    const scores = logits();
    const sizes = map(linear(map(x, Math.abs), values.map(Math.abs)), (size) => size / temperature);
    const errors = scoreErrors(scores, sizes, x.width, rounding);
    return map(scores, (logit, i) => {
      const [n, v] = [Math.floor(i / V), i % V];
      const target = targets[n]!; // likewise
      if (target < 0) return 0;
      const p = a.exp(a.subtract({ value: logit, error: errors.data[i]! }, given(sums.data[n]!)));
      const difference = a.subtract(given(v === target ? 1 : 0), p);
      return a.divide(a.multiply(given(cotangent.data[n]!), difference), given(temperature)).error;
    });
  };
  /** Of sums of `k` products of z and numbers that are exact. */
  const bound = (rounding: Rounding, k: number, product: (z: Matrix) => Matrix): Matrix => {
    const errors = logitGradErrors(rounding);
    const sizes = map(logitGrads(), (z, i) => Math.abs(z) + errors.data[i]!);
    const [inherited, rounded] = [product(errors), product(sizes)];
    return map(inherited, (error, i) => {
      return error + dotError(k) * rounding.unit * rounded.data[i]! + k * leastStep(rounding);
    });
  };
  return {
    x: {
      exact: () => inputGrad(logitGrads(), values),
      bound: (rounding) => bound(rounding, V, (z) => inputGrad(z, values.map(Math.abs))),
    },
    weight: {
      exact: () => weightGrad(x, logitGrads()),
      bound: (rounding) => bound(rounding, x.rows, (z) => weightGrad(map(x, Math.abs), z)),
    },
  };
}
