// The gated activation of the feed-forward layer (Shazeer, arXiv 2002.05202; Llama 2, section 2.2).

import { type NoAttributes, need, type OpDef, type OpNode } from "../op.ts";
import { rowWidth } from "./rows.ts";
import { swigluGrad } from "./swiglu-grad.ts";

/** `out = silu(gate) * up` with `silu(z) = z / (1 + exp(-z))`: gate, up [N, F] -> [N, F]. */
export const swiglu: OpDef<NoAttributes, ["gate", "up"]> = {
  inputs: ["gate", "up"],
  parameters: [],
  results: ["out"],
  infer({ gate, up }) {
    const [width, other] = [rowWidth("swiglu", "gate", gate), rowWidth("swiglu", "up", up)];
    need(width === other, `swiglu of widths ${width} and ${other}`);
    return { out: gate };
  },
  vjp(g, { output, gate, up }, { out }) {
    return out === undefined ? {} : g.apply(swigluGrad, `${output}.gradient`, { gate, up, cotangent: out }, {});
  },
};

/** A node of `swiglu`, with its operands by name. */
export type SwigluNode = OpNode<"swiglu", typeof swiglu>;
