// Root-mean-square normalization (Llama 2, section 2.2; Zhang and Sennrich, arXiv 1910.07467): no mean is subtracted
// and there is no bias. The epsilon stands inside the root.

import { need, type OpDef, type OpNode } from "../op.ts";
import type { Epsilon } from "./epsilon.ts";
import { rmsNormGrad } from "./rms-norm-grad.ts";
import { rowWidth } from "./rows.ts";

/** `out = x / sqrt(mean(x^2) + eps) * weight`, row by row: x [N, D], weight [D] -> [N, D]. */
export const rmsNorm: OpDef<Epsilon, ["x"], ["weight"]> = {
  inputs: ["x"],
  parameters: ["weight"],
  results: ["out"],
  infer({ x, weight }) {
    const width = rowWidth("rmsNorm", "x", x);
    need(
      weight.shape.length === 1 && weight.shape[0] === width,
      `rmsNorm of width ${width} has weight [${weight.shape}]`,
    );
    return { out: x };
  },
  vjp(g, { output, x, weight, eps }, { out }) {
    if (out === undefined) return {};
    return g.apply(rmsNormGrad, `${output}.gradient`, { x, cotangent: out, weight }, { eps });
  },
};

/** A node of `rmsNorm`, with its operands by name. */
export type RmsNormNode = OpNode<"rmsNorm", typeof rmsNorm>;
