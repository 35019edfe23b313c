// The residual connection. The stream it carries is f32 or wider on every backend.

import { type NoAttributes, need, type OpDef, type OpNode } from "../op.ts";
import { isFixed, showType } from "../type.ts";
import { rowWidth } from "./rows.ts";

/** `out = a + b`: a, b [N, D] -> [N, D]; gradients of a parameter are added in its shape. */
export const add: OpDef<NoAttributes, ["a", "b"]> = {
  inputs: ["a", "b"],
  parameters: [],
  results: ["out"],
  infer({ a, b }) {
    if (isFixed(a) || isFixed(b)) {
      need(showType(a) === showType(b) && a.dtype === "f32", `add of ${showType(a)} and ${showType(b)}`);
      return { out: a };
    }
    const [width, other] = [rowWidth("add", "a", a), rowWidth("add", "b", b)];
    need(width === other, `add of widths ${width} and ${other}`);
    return { out: a };
  },
  vjp: (_, __, { out }) => (out === undefined ? {} : { a: out, b: out }),
};

/** A node of `add`, with its operands by name. */
export type AddNode = OpNode<"add", typeof add>;
