// Causal attention with grouped queries (Llama 2, section 2.2 and appendix A.2.1; Ainslie et al., arXiv 2305.13245).
// Query head h reads key/value head floor(h / (H / G)); G = H is multi-head, G = 1 multi-query attention. The rows' keys and
// values are appended to their sequence's cache first; each row then sees the cache up to and including itself.

import type { ValueName } from "../graph.ts";

/** q [N, H d], k and v [N, G d] -> [N, H d]: `softmax(q k^T / sqrt(d)) v` per head, over the row's own sequence. */
export interface AttentionNode {
  readonly op: "attention";
  readonly output: ValueName;
  readonly q: ValueName;
  readonly k: ValueName;
  readonly v: ValueName;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}
