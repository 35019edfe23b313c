// out = log softmax(x weight^T / temperature)[target], 0 for rows without a target

import { type LogProbabilityNode, PolyllamaError } from "@polyllama/core";
import { dotError, type Rounding } from "../bounds.ts";
import { logSumExp } from "../log-sum-exp.ts";
import { type Matrix, map, matrix, row } from "../matrix.ts";
import type { Evaluated, Operands } from "./evaluator.ts";
import { linear } from "./linear.ts";

export function evaluateLogProbability(
  node: LogProbabilityNode,
  { tokens, value, weight }: Operands,
): { readonly out: Evaluated; readonly logSumExp: Evaluated } {
  const [x, targets, { values }] = [value(node.x), tokens(node.targets), weight(node.weight)];
  const V = values.length / x.width;
  checkTargets(targets, V);
  const { temperature } = node;
  const logits = (): Matrix => map(linear(x, values), (logit) => logit / temperature); // [N, V]
  const sizes = (): Matrix => map(linear(map(x, Math.abs), values.map(Math.abs)), (size) => size / temperature); // [N, V]
  /** Of each row: the value, or with `rounding` its error. */
  const rows = (rounding: Rounding | undefined, ofTargets: boolean): Matrix => {
    const [scores, y] = [logits(), matrix(x.rows, 1)];
    const errors = rounding && scoreErrors(scores, sizes(), x.width, rounding);
    for (const [n, target] of targets.entries()) {
      const scoreError = errors === undefined ? 0 : row(errors, n).reduce((a, b) => Math.max(a, b), 0);
      const sum = logSumExp(row(scores, n), scoreError, rounding);
      const logProbability = target < 0 ? 0 : row(scores, n)[target]! - sum.value;
      if (rounding === undefined) y.data[n] = ofTargets ? logProbability : sum.value;
      else if (!ofTargets) y.data[n] = sum.error;
      else if (target >= 0) y.data[n] = scoreError + sum.error + rounding.unit * Math.abs(logProbability);
    }
    return y;
  };
  return {
    out: { exact: () => rows(undefined, true), bound: (rounding) => rows(rounding, true) },
    logSumExp: { exact: () => rows(undefined, false), bound: (rounding) => rows(rounding, false) },
  };
}

/** A dot product's error, and the division by the temperature [N, V]. */
export function scoreErrors(scores: Matrix, sizes: Matrix, D: number, { unit }: Rounding): Matrix {
  return map(scores, (score, i) => unit * (dotError(D) * sizes.data[i]! + 2 * Math.abs(score)));
}

/** @throws {PolyllamaError} `ERR_GRAPH` for a target beyond the vocabulary; below 0 it is none */
export function checkTargets(targets: Int32Array, vocabSize: number): void {
  const n = targets.findIndex((target) => target >= vocabSize);
  if (n < 0) return;
  throw new PolyllamaError("ERR_GRAPH", `Row ${n}: target ${targets[n]} is outside the vocabulary of ${vocabSize}.`);
}
