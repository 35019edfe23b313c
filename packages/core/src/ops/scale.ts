// Multiplication by a constant: what a low-rank adapter adds is scaled by alpha / r (Hu et al., "LoRA", arXiv 2106.09685,
// section 4.1).

import { need, type OpDef, type OpNode } from "../op.ts";
import { showType } from "../type.ts";

/** What a node of `scale` is told. */
export interface Factor {
  /** A normal number of f32, or 0. */
  readonly factor: number;
}

/** `out = factor x`: x of any shape -> the same. */
export const scale: OpDef<Factor, ["x"]> = {
  inputs: ["x"],
  parameters: [],
  results: ["out"],
  infer({ x }, { factor }) {
    need(x.dtype === "f32", `scale takes reals, not ${showType(x)}`);
    const size = Math.abs(factor);
    need(size === 0 || (size >= 2 ** -126 && size < 2 ** 127), `scale by ${factor}`);
    return { out: x };
  },
  vjp(g, { output, factor }, { out }) {
    return out === undefined ? {} : { x: g.apply(scale, `${output}.gradient`, { x: out }, { factor }).out };
  },
};

/** A node of `scale`, with its operand by name. */
export type ScaleNode = OpNode<"scale", typeof scale>;
