// Causal attention with grouped queries (Llama 2, section 2.2 and appendix A.2.1; Ainslie et al., arXiv 2305.13245).
// Query head h reads key/value head floor(h / (H / G)); G = H is multi-head, G = 1 multi-query attention. The rows'
// keys and values are appended to their sequence's cache first; each row then sees the cache up to and including
// itself.

import { need, type OpDef, type OpNode } from "../op.ts";
import { rowWidth } from "./rows.ts";

/** How rows are cut into heads. */
export interface Heads {
  /** H, a multiple of G. */
  readonly heads: number;
  /** G */
  readonly kvHeads: number;
  /** d */
  readonly headDim: number;
}

/** q [N, H d], k and v [N, G d] -> [N, H d]: `softmax(q k^T / sqrt(d)) v` per head, over the row's own sequence. */
export const attention: OpDef<Heads, ["q", "k", "v"]> = {
  inputs: ["q", "k", "v"],
  parameters: [],
  results: ["out"],
  state: { cache: "append", inputs: ["k", "v"] },
  infer({ q, k, v }, { heads, kvHeads, headDim }) {
    need(heads % kvHeads === 0, `${heads} query heads cannot share ${kvHeads} key/value heads evenly`);
    const width = rowWidth("attention", "q", q);
    need(width === heads * headDim, `attention has q of width ${width}, not ${heads} x ${headDim}`);
    for (const [role, type] of Object.entries({ k, v })) {
      const width = rowWidth("attention", role, type);
      need(width === kvHeads * headDim, `attention has ${role} of width ${width}, not ${kvHeads} x ${headDim}`);
    }
    return { out: q };
  },
};

/** A node of `attention`, with its operands by name. */
export type AttentionNode = OpNode<"attention", typeof attention>;
