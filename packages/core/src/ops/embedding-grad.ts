// The gradient of `embedding` by its table: each row's cotangent is added to the table row that its token looked up.

import { need, type OpDef, type OpNode } from "../op.ts";
import { fixedShape, showType } from "../type.ts";
import { rowWidth } from "./rows.ts";

/** Rows of the table. */
export interface TableRows {
  /** V */
  readonly tableRows: number;
}

/** `out[v] = sum of cotangent[n] over tokens[n] = v`: tokens [N], cotangent [N, D] -> [V, D]. */
export const embeddingGrad: OpDef<TableRows, ["tokens", "cotangent"]> = {
  inputs: ["tokens", "cotangent"],
  parameters: [],
  results: ["out"],
  infer({ tokens, cotangent }, { tableRows }) {
    need(
      tokens.dtype === "i32" && tokens.shape.length === 1,
      `embeddingGrad takes tokens [N], not ${showType(tokens)}`,
    );
    return { out: fixedShape([tableRows, rowWidth("embeddingGrad", "cotangent", cotangent)]) };
  },
};

/** A node of `embeddingGrad`, with its operands by name. */
export type EmbeddingGradNode = OpNode<"embeddingGrad", typeof embeddingGrad>;
