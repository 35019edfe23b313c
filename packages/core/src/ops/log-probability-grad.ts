// The gradient of `logProbability`. Logits are computed again, a piece of the vocabulary at a time if a backend wants.

import { need, type OpDef, type OpNode } from "../op.ts";
import { fixedShape, showType, widthOf } from "../type.ts";
import { rowWidth } from "./rows.ts";
import type { Temperature } from "./temperature.ts";

/**
 * x [N, D], targets [N], logSumExp and cotangent [N, 1], weight [V, D] -> x [N, D], weight [V, D]. With
 * `z[n, v] = cotangent[n] ((v = targets[n]) - exp(x[n] . weight[v] / temperature - logSumExp[n])) / temperature`, and 0
 * in rows without a target: `x = z weight`, `weight = z^T x`.
 */
export const logProbabilityGrad: OpDef<
  Temperature,
  ["x", "targets", "logSumExp", "cotangent"],
  ["weight"],
  ["x", "weight"]
> = {
  inputs: ["x", "targets", "logSumExp", "cotangent"],
  parameters: ["weight"],
  results: ["x", "weight"],
  infer({ x, targets, logSumExp, cotangent, weight }) {
    const width = rowWidth("logProbabilityGrad", "x", x);
    need(
      targets.dtype === "i32" && targets.shape.length === 1,
      `logProbabilityGrad takes targets [N], not ${showType(targets)}`,
    );
    for (const [role, type] of Object.entries({ logSumExp, cotangent })) {
      const given = rowWidth("logProbabilityGrad", role, type);
      need(given === 1, `logProbabilityGrad has ${role} of width ${given}, not 1`);
    }
    const [tokens] = weight.shape;
    need(
      weight.shape.length === 2 && typeof tokens === "number" && widthOf(weight) === width,
      `logProbabilityGrad of width ${width} has weight [${weight.shape}]`,
    );
    return { x, weight: fixedShape([tokens, width]) };
  },
};

/** A node of `logProbabilityGrad`, with its operands by name. */
export type LogProbabilityGradNode = OpNode<"logProbabilityGrad", typeof logProbabilityGrad>;
