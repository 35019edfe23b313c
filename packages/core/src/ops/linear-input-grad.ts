// The gradient of `linear` by its input. It is exact in the quantized weights, so that adapters are trained on any stored
// format.

import { type NoAttributes, need, type OpDef, type OpNode } from "../op.ts";
import { widthOf } from "../type.ts";
import { rowsLike, rowWidth } from "./rows.ts";

/** `out = cotangent weight`: cotangent [N, M], weight [M, K] -> [N, K]. */
export const linearInputGrad: OpDef<NoAttributes, ["cotangent"], ["weight"]> = {
  inputs: ["cotangent"],
  parameters: ["weight"],
  results: ["out"],
  infer({ cotangent, weight }) {
    const width = rowWidth("linearInputGrad", "cotangent", cotangent);
    need(
      weight.shape.length === 2 && weight.shape[0] === width,
      `linearInputGrad of width ${width} has weight [${weight.shape}]`,
    );
    return { out: rowsLike(cotangent, widthOf(weight)) };
  },
};

/** A node of `linearInputGrad`, with its operands by name. */
export type LinearInputGradNode = OpNode<"linearInputGrad", typeof linearInputGrad>;
