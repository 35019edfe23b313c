// What the emitters of the single operations share: the model being written, the tensors of values, and the facts that choose among
// operators. Every activation is a tensor [1, rows, width]: ONNX Runtime's attention wants the batch dimension, which is 1 as each
// sequence of a step is a run of its own.

import type { Node, RopeNode, ValueName } from "@polyllama/core";
import type { Binding } from "../binding.ts";
import type { Need } from "../needs.ts";
import type { GraphLayout } from "../pack/layout.ts";
import type { ModelWriter, TensorName } from "./onnx.ts";

export interface Emission {
  readonly model: ModelWriter;
  /** `MatMulNBits` accuracy level: 4 rounds activations to int8, 1 computes in f32. */
  readonly accuracyLevel: 1 | 4;
  /** Sums of blocks, by block and tensor. */
  readonly blockSums: Map<string, TensorName>;
  readonly layout: GraphLayout;
  /** Rows of the values that are needed. */
  readonly needs: ReadonlyMap<ValueName, Need>;
  readonly consumers: ReadonlyMap<ValueName, readonly Node[]>;
  /** Rotations that attention takes over, by output. */
  readonly fusedRopes: ReadonlyMap<ValueName, RopeNode>;
  readonly values: Values;
  /** Number of an attention among those of the graph. */
  attentionIndex(node: Node): number;
  /** Present keys and values, in the order of the inputs that they share memory with. */
  readonly caches: { readonly name: TensorName; readonly binding: Binding }[];
}

/** Tensors of values, and inputs of the model. */
export interface Values {
  /** The tensor of a value, in these rows; one that nobody emits is an input. */
  tensor(value: ValueName, need: Need): TensorName;
  /** Says which tensor a value is: a function, as some are only emitted when somebody reads them. */
  define(value: ValueName, need: Need, tensor: () => TensorName): void;
  /** Whether a value is defined in any rows. */
  has(value: ValueName): boolean;
  /** An input of the model, which is declared where it is first used. */
  input(name: TensorName, binding: Binding, declare: () => void): TensorName;
  readonly inputs: readonly { readonly name: TensorName; readonly binding: Binding }[];
}

export function nameFor(value: ValueName, need: Need): TensorName {
  return `${need} ${value}`;
}

/** Emits a node's result as a tensor of its own. */
export function emitValue(e: Emission, value: ValueName, emit: (name: TensorName, need: Need) => void): void {
  const need = e.needs.get(value)!; // only needed nodes are emitted
  const name = nameFor(value, need);
  emit(name, need);
  e.values.define(value, need, () => name);
}
