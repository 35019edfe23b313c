// Row look-up: the residual stream starts as one row of the table per token. The table is [V, D] in any stored format.

import { type NoAttributes, need, type OpDef, type OpNode } from "../op.ts";
import { showType, widthOf } from "../type.ts";
import { embeddingGrad } from "./embedding-grad.ts";
import { rowsLike } from "./rows.ts";

/** `out[n] = table[tokens[n]]`: tokens [N], table [V, D] -> [N, D]. A token outside [0, V) is an error, not a row. */
export const embedding: OpDef<NoAttributes, ["tokens"], ["table"]> = {
  inputs: ["tokens"],
  parameters: ["table"],
  results: ["out"],
  infer({ tokens, table }) {
    need(tokens.dtype === "i32" && tokens.shape.length === 1, `embedding takes tokens [N], not ${showType(tokens)}`);
    need(table.shape.length === 2, `embedding wants a table [V, D], not [${table.shape}]`);
    return { out: rowsLike(tokens, widthOf(table)) };
  },
  vjp(g, { output, tokens, table }, { out }) {
    if (out === undefined) return {};
    const [tableRows = 0] = table.shape; // V, as `infer` saw
    return { table: g.apply(embeddingGrad, `${output}.gradient`, { tokens, cotangent: out }, { tableRows }).out };
  },
};

/** A node of `embedding`, with its operands by name. */
export type EmbeddingNode = OpNode<"embedding", typeof embedding>;
