// The gradient of `attention` over whole sequences, without caches: what FlashAttention's backward pass computes (Dao et
// al., arXiv 2205.14135, appendix B.2). Weights of the softmax are computed again from the scores and the row's
// `logSumExp`, so that no [N, N] is kept.

import { need, type OpDef, type OpNode } from "../op.ts";
import type { Heads } from "./attention-heads.ts";
import { rowWidth } from "./rows.ts";

/**
 * q, out, cotangent [N, H d], k and v [N, G d], logSumExp [N, H] -> q [N, H d], k and v [N, G d]. With the weights
 * `p = exp(q k^T / sqrt(d) - logSumExp)` and `s = p * (cotangent v^T - cotangent . out)`: `q = s k / sqrt(d)`,
 * `k = s^T q / sqrt(d)` and `v = p^T cotangent`, the last two as sums over the query heads that share a key/value head.
 */
export const attentionGrad: OpDef<Heads, ["q", "k", "v", "out", "logSumExp", "cotangent"], [], ["q", "k", "v"]> = {
  inputs: ["q", "k", "v", "out", "logSumExp", "cotangent"],
  parameters: [],
  results: ["q", "k", "v"],
  infer({ q, k, v, out, logSumExp, cotangent }, { heads, kvHeads, headDim }) {
    need(heads % kvHeads === 0, `${heads} query heads cannot share ${kvHeads} key/value heads evenly`);
    const check = (width: number, types: Readonly<Record<string, typeof q>>): void => {
      for (const [role, type] of Object.entries(types)) {
        const given = rowWidth("attentionGrad", role, type);
        need(given === width, `attentionGrad has ${role} of width ${given}, not ${width}`);
      }
    };
    check(heads * headDim, { q, out, cotangent });
    check(kvHeads * headDim, { k, v });
    check(heads, { logSumExp });
    return { q, k, v };
  },
};

/** A node of `attentionGrad`, with its operands by name. */
export type AttentionGradNode = OpNode<"attentionGrad", typeof attentionGrad>;
