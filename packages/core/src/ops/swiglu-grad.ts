// The gradient of `swiglu`. What it needs of the forward pass are its inputs; the sigmoid is cheap to compute again.

import { type NoAttributes, need, type OpDef, type OpNode } from "../op.ts";
import { rowWidth } from "./rows.ts";

/**
 * gate, up, cotangent [N, F] -> gate, up [N, F]. With the sigmoid s of gate:
 * `gate = cotangent * up * s (1 + gate (1 - s))`, `up = cotangent * gate s`.
 */
export const swigluGrad: OpDef<NoAttributes, ["gate", "up", "cotangent"], [], ["gate", "up"]> = {
  inputs: ["gate", "up", "cotangent"],
  parameters: [],
  results: ["gate", "up"],
  infer({ gate, up, cotangent }) {
    const widths = Object.entries({ gate, up, cotangent }).map(([role, type]) => rowWidth("swigluGrad", role, type));
    need(new Set(widths).size === 1, `swigluGrad of widths ${widths.join(", ")}`);
    return { gate, up };
  },
};

/** A node of `swigluGrad`, with its operands by name. */
export type SwigluGradNode = OpNode<"swigluGrad", typeof swigluGrad>;
