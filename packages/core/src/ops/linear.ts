// The only operation with large weights. A weight is stored as its rows, [M, K]: M outputs, each a dot product over K
// inputs, in any format of `formats/`; its values are ggml's f32 values of that format.

import { type NoAttributes, need, type OpDef, type OpNode } from "../op.ts";
import { linearInputGrad } from "./linear-input-grad.ts";
import { linearWeightGrad } from "./linear-weight-grad.ts";
import { rowsLike, rowWidth } from "./rows.ts";

/** `out = x weight^T`: x [N, K], weight [M, K] -> [N, M]. There is no bias. */
export const linear: OpDef<NoAttributes, ["x"], ["weight"]> = {
  inputs: ["x"],
  parameters: ["weight"],
  results: ["out"],
  infer({ x, weight }) {
    const width = rowWidth("linear", "x", x);
    const [outputs, columns] = weight.shape;
    need(
      weight.shape.length === 2 && typeof outputs === "number" && columns === width,
      `linear of width ${width} has weight [${weight.shape}]`,
    );
    return { out: rowsLike(x, outputs) };
  },
  vjp(g, { output, x, weight }, { out }) {
    if (out === undefined) return {};
    return {
      x: g.apply(linearInputGrad, `${output}.gradient.x`, { cotangent: out, weight }, {}).out,
      weight: g.apply(linearWeightGrad, `${output}.gradient.weight`, { x, cotangent: out }, {}).out,
    };
  },
};

/** A node of `linear`, with its operands by name. */
export type LinearNode = OpNode<"linear", typeof linear>;
