// What the emitters of the single steps share: the model being written, the tensors of buffers, and what chooses among
// operators. Every activation is a tensor [1, rows, width]: ONNX Runtime's attention wants the batch dimension, which
// is 1 as each sequence of a step is a run of its own.

import type { CacheStep, Place } from "@polyllama/planner";
import type { Binding } from "../binding.ts";
import type { Layout } from "../pack/layout.ts";
import type { ModelWriter, TensorName } from "./onnx.ts";
import type { Tensors } from "./tensors.ts";

export interface Emission {
  readonly model: ModelWriter;
  readonly tensors: Tensors;
  /** `MatMulNBits` accuracy level: 4 rounds activations to int8, 1 computes in f32. */
  readonly accuracyLevel: 1 | 4;
  readonly layout: Layout;
  /** Sums of blocks, by block and tensor. */
  readonly blockSums: Map<string, TensorName>;
  /** What attentions append to their caches as they are computed, by their number among those of the graph. */
  readonly appending: Map<number, CacheStep>;
  /** Present keys and values, in the order of the inputs that they share memory with. */
  readonly caches: { readonly name: TensorName; readonly binding: Binding }[];
}

/** Emits a step's result as a tensor of its own, which is named after the step. */
export function emitTensor(
  e: Emission,
  { label, y }: { readonly label: string; readonly y: Place },
  emit: (name: TensorName) => void,
): void {
  emit(label);
  e.tensors.define(y.buffer, () => label);
}
