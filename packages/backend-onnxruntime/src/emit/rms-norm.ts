// rmsNorm, alone or together with the residual addition before it.

import type { RmsNormNode } from "@polyllama/core";
import { type Emission, emitValue } from "./emission.ts";
import { emitWeight } from "./linear.ts";
import type { TensorName } from "./onnx.ts";

/** x [1, rows, D], weight [D] -> [1, rows, D]. The addition before it may have done it. */
export function emitRmsNorm(node: RmsNormNode, e: Emission): void {
  if (e.values.has(node.output)) return;
  emitValue(e, node.output, (name, need) => {
    const x = e.values.tensor(node.x, need);
    const weight = emitWeight(e, e.layout.norms.get(node.weight)!);
    e.model.node("SimplifiedLayerNormalization", [x, weight], [name], {
      axis: { int: -1 },
      epsilon: { float: node.eps },
      stash_type: { int: 1 },
    });
  });
}

/** `sum = a + b`, `output = rmsNorm(sum)`, in one pass over the rows. */
export function addRmsNorm(
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
