// swiglu: `QuickGelu` with alpha 1 is silu, computed in one pass.

import type { Emission } from "./emission.ts";
import type { TensorName } from "./onnx.ts";

/** gate, up [1, rows, F] -> [1, rows, F] */
export function emitSwiglu(e: Emission, gate: TensorName, up: TensorName, output: TensorName): void {
  const activated = e.model.fresh(`${output}:silu`);
  e.model.node("QuickGelu", [gate], [activated], { alpha: { float: 1 } });
  e.model.node("Mul", [activated, up], [output]);
}
