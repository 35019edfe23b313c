// The gradient of `rmsNorm`, by its input row by row, and by its weight as a sum over all rows.

import { need, type OpDef, type OpNode } from "../op.ts";
import { fixedShape } from "../type.ts";
import type { Epsilon } from "./epsilon.ts";
import { rowWidth } from "./rows.ts";

/**
 * x, cotangent [N, D], weight [D] -> x [N, D], weight [D]. With `s = 1 / sqrt(mean(x^2) + eps)` and
 * `g = cotangent * weight`: `x = s (g - x s^2 mean(g x))`, `weight = sum over rows of cotangent * x s`.
 */
export const rmsNormGrad: OpDef<Epsilon, ["x", "cotangent"], ["weight"], ["x", "weight"]> = {
  inputs: ["x", "cotangent"],
  parameters: ["weight"],
  results: ["x", "weight"],
  infer({ x, cotangent, weight }) {
    const [width, other] = [rowWidth("rmsNormGrad", "x", x), rowWidth("rmsNormGrad", "cotangent", cotangent)];
    need(width === other, `rmsNormGrad of widths ${width} and ${other}`);
    need(
      weight.shape.length === 1 && weight.shape[0] === width,
      `rmsNormGrad of width ${width} has weight [${weight.shape}]`,
    );
    return { x, weight: fixedShape([width]) };
  },
};

/** A node of `rmsNormGrad`, with its operands by name. */
export type RmsNormGradNode = OpNode<"rmsNormGrad", typeof rmsNormGrad>;
