// The gradient of `linear` by its weight: a sum over all rows of a step, in the weight's own shape.

import type { NoAttributes, OpDef, OpNode } from "../op.ts";
import { fixedShape } from "../type.ts";
import { rowWidth } from "./rows.ts";

/** `out = cotangent^T x`: x [N, K], cotangent [N, M] -> [M, K]. */
export const linearWeightGrad: OpDef<NoAttributes, ["x", "cotangent"]> = {
  inputs: ["x", "cotangent"],
  parameters: [],
  results: ["out"],
  infer({ x, cotangent }) {
    const columns = rowWidth("linearWeightGrad", "x", x);
    return { out: fixedShape([rowWidth("linearWeightGrad", "cotangent", cotangent), columns]) };
  },
};

/** A node of `linearWeightGrad`, with its operands by name. */
export type LinearWeightGradNode = OpNode<"linearWeightGrad", typeof linearWeightGrad>;
