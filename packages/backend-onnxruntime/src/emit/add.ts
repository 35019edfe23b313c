// add, where no normalization follows that takes it in.

import type { Emission } from "./emission.ts";
import type { TensorName } from "./onnx.ts";

/** a, b [1, rows, D] -> [1, rows, D] */
export function emitAdd(e: Emission, a: TensorName, b: TensorName, output: TensorName): void {
  e.model.node("Add", [a, b], [output]);
}
