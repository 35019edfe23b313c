// The residual connection. The stream it carries is f32 or wider on every backend.

import { type NoAttributes, need, type OpDef, type OpNode } from "../op.ts";
import { rowWidth } from "./rows.ts";

/** `out = a + b`: a, b [N, D] -> [N, D]. */
export const add: OpDef<NoAttributes, ["a", "b"]> = {
  inputs: ["a", "b"],
  parameters: [],
  results: ["out"],
  infer({ a, b }) {
    const [width, other] = [rowWidth("add", "a", a), rowWidth("add", "b", b)];
    need(width === other, `add of widths ${width} and ${other}`);
    return { out: a };
  },
};

/** A node of `add`, with its operands by name. */
export type AddNode = OpNode<"add", typeof add>;
