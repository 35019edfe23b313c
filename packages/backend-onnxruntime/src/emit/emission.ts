// What the emitters of the single operations share: the model being written and the facts that choose among operators.
// Every activation is a tensor [1, rows, width]: ONNX Runtime's attention wants the batch dimension, which is 1 as each
// sequence of a step is a run of its own.

import type { ModelWriter, TensorName } from "./onnx.ts";

export interface Emission {
  readonly model: ModelWriter;
  /** `MatMulNBits` accuracy level: 4 rounds activations to int8, 1 computes in f32. */
  readonly accuracyLevel: 1 | 4;
  /** Sums of blocks, by block and tensor. */
  readonly blockSums: Map<string, TensorName>;
}
