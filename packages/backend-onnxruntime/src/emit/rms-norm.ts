// rmsNorm, alone or together with the residual addition before it.

import type { Norm, NormStep } from "@polyllama/planner";
import { type Emission, emitTensor } from "./emission.ts";
import type { TensorName } from "./onnx.ts";
import { emitWeight } from "./weight.ts";

/** x [1, rows, D], weight [D] -> [1, rows, D] */
export function emitRmsNorm(step: NormStep, e: Emission): void {
  const { norm } = step;
  emitTensor(e, step, (name) => {
    const x = e.tensors.at(step.x);
    e.model.node("SimplifiedLayerNormalization", [x, weightOf(e, norm)], [name], {
      axis: { int: -1 },
      epsilon: { float: norm.eps },
      stash_type: { int: 1 },
    });
  });
}

/** `sum = a + b`, `output = rmsNorm(sum)`, in one pass over the rows. */
export function addRmsNorm(
  e: Emission,
  norm: Norm,
  [a, b]: readonly [TensorName, TensorName],
  sum: TensorName,
  output: TensorName,
): void {
  e.model.node("SkipSimplifiedLayerNormalization", [a, b, weightOf(e, norm)], [output, "", "", sum], {
    epsilon: { float: norm.eps },
  });
}

function weightOf(e: Emission, { weight }: Norm): TensorName {
  return emitWeight(e, e.layout.norms.get(weight)!); // there is one for every norm of the graph
}
