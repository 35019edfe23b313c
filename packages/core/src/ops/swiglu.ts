// The gated activation of the feed-forward layer (Shazeer, arXiv 2002.05202; Llama 2, section 2.2).

import type { ValueName } from "../graph.ts";

/** `output = silu(gate) * up` with `silu(z) = z / (1 + exp(-z))`: gate, up [N, F] -> [N, F]. */
export interface SwigluNode {
  readonly op: "swiglu";
  readonly output: ValueName;
  readonly gate: ValueName;
  readonly up: ValueName;
}
