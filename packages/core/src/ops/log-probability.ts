// Log-probabilities of given tokens, fused with the output projection: the logits [N, V] of a long sequence and a large
// vocabulary are more than all other values together, and need not stand in memory. Losses over these [N] numbers
// (masked, ranked, clipped) are functions of the host, which gives their cotangents back.

import { need, type OpDef, type OpNode } from "../op.ts";
import { showType } from "../type.ts";
import { logProbabilityGrad } from "./log-probability-grad.ts";
import { rowsLike, rowWidth } from "./rows.ts";
import type { Temperature } from "./temperature.ts";

/** What a node of `logProbability` may be told. */
export interface LogProbabilityAttributes extends Temperature {
  /** Whether it also gives `logSumExp` [N, 1], of logits / temperature. */
  readonly logSumExp?: true;
}

/**
 * `out[n] = log softmax(x[n] weight^T / temperature)[targets[n]]`, natural: x [N, D], targets [N], weight [V, D] ->
 * [N, 1]. A target of -1 leaves its row out: 0, with a gradient of 0. Other targets outside [0, V) are errors.
 */
export const logProbability: OpDef<LogProbabilityAttributes, ["x", "targets"], ["weight"], ["out"], ["logSumExp"]> = {
  inputs: ["x", "targets"],
  parameters: ["weight"],
  results: ["out"],
  extras: ["logSumExp"],
  infer({ x, targets, weight }, { temperature }) {
    const width = rowWidth("logProbability", "x", x);
    need(
      targets.dtype === "i32" && targets.shape.length === 1,
      `logProbability takes targets [N], not ${showType(targets)}`,
    );
    need(
      weight.shape.length === 2 && weight.shape[1] === width,
      `logProbability of width ${width} has weight [${weight.shape}]`,
    );
    need(temperature > 0 && Number.isFinite(temperature), `logProbability of temperature ${temperature}`);
    return { out: rowsLike(x, 1), logSumExp: rowsLike(x, 1) };
  },
  vjp(g, { output, x, targets, weight, temperature, results: { logSumExp } }, { out }) {
    if (out === undefined) return {};
    need(logSumExp !== undefined, `the gradient of "${output}" takes its logSumExp`);
    const operands = { x, targets, logSumExp, cotangent: out, weight };
    return g.apply(logProbabilityGrad, `${output}.gradient`, operands, { temperature });
  },
};

/** A node of `logProbability`, with its operands by name. */
export type LogProbabilityNode = OpNode<"logProbability", typeof logProbability>;
