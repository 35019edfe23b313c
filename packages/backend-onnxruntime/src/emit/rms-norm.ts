// rmsNorm, alone or together with the residual addition before it.

import type { RmsNormNode } from "@polyllama/core";
import type { Emission } from "./emission.ts";
import type { TensorName } from "./onnx.ts";

/** x [1, rows, D], weight [D] -> [1, rows, D] */
export function emitRmsNorm(
  e: Emission,
  node: RmsNormNode,
  x: TensorName,
  weight: TensorName,
  output: TensorName,
): void {
  e.model.node("SimplifiedLayerNormalization", [x, weight], [output], {
    axis: { int: -1 },
    epsilon: { float: node.eps },
    stash_type: { int: 1 },
  });
}

/** `sum = a + b`, `output = rmsNorm(sum)`, in one pass over the rows. */
export function emitAddRmsNorm(
  e: Emission,
  node: RmsNormNode,
  [a, b]: readonly [TensorName, TensorName],
  weight: TensorName,
  sum: TensorName,
  output: TensorName,
): void {
  e.model.node("SkipSimplifiedLayerNormalization", [a, b, weight], [output, "", "", sum], {
    epsilon: { float: node.eps },
  });
}
