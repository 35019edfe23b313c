// Causal attention with grouped queries (Llama 2, section 2.2 and appendix A.2.1; Ainslie et al., arXiv 2305.13245).
// Query head h reads key/value head floor(h / (H / G)); G = H is multi-head, G = 1 multi-query attention. The rows'
// keys and values are appended to their sequence's cache first; each row then sees the cache up to and including
// itself.

import { need, type OpDef, type OpNode } from "../op.ts";
import { attentionGrad } from "./attention-grad.ts";
import type { Heads } from "./attention-heads.ts";
import { rowsLike, rowWidth } from "./rows.ts";

/** What a node of `attention` may be told. */
export interface AttentionAttributes extends Heads {
  /** Whether it also gives `logSumExp` [N, H], of the scores of each row and head. */
  readonly logSumExp?: true;
}

/** q [N, H d], k and v [N, G d] -> [N, H d]: `softmax(q k^T / sqrt(d)) v` per head, over the row's own sequence. */
export const attention: OpDef<AttentionAttributes, ["q", "k", "v"], [], ["out"], ["logSumExp"]> = {
  inputs: ["q", "k", "v"],
  parameters: [],
  results: ["out"],
  extras: ["logSumExp"],
  state: { cache: "append", inputs: ["k", "v"] },
  infer({ q, k, v }, { heads, kvHeads, headDim }) {
    need(heads % kvHeads === 0, `${heads} query heads cannot share ${kvHeads} key/value heads evenly`);
    const width = rowWidth("attention", "q", q);
    need(width === heads * headDim, `attention has q of width ${width}, not ${heads} x ${headDim}`);
    for (const [role, type] of Object.entries({ k, v })) {
      const width = rowWidth("attention", role, type);
      need(width === kvHeads * headDim, `attention has ${role} of width ${width}, not ${kvHeads} x ${headDim}`);
    }
    return { out: q, logSumExp: rowsLike(q, heads) };
  },
  vjp(g, { output, q, k, v, heads, kvHeads, headDim, results }, { out: cotangent }) {
    if (cotangent === undefined) return {};
    const { out, logSumExp } = results;
    need(logSumExp !== undefined, `the gradient of "${output}" takes its logSumExp`);
    const operands = { q, k, v, out, logSumExp, cotangent };
    return g.apply(attentionGrad, `${output}.gradient`, operands, { heads, kvHeads, headDim });
  },
};

/** A node of `attention`, with its operands by name. */
export type AttentionNode = OpNode<"attention", typeof attention>;
