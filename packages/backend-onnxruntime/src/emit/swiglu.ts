// swiglu: `QuickGelu` with alpha 1 is silu, computed in one pass.

import type { SwigluStep } from "@polyllama/planner";
import { type Emission, emitTensor } from "./emission.ts";
import type { TensorName } from "./onnx.ts";

/** gate, up [1, rows, F] -> [1, rows, F] */
export function emitSwiglu(step: SwigluStep, e: Emission): void {
  emitTensor(e, step, (name) => swiglu(e, e.tensors.at(step.gate), e.tensors.at(step.up), name));
}

function swiglu(e: Emission, gate: TensorName, up: TensorName, output: TensorName): void {
  const activated = e.model.fresh(`${output}:silu`);
  e.model.node("QuickGelu", [gate], [activated], { alpha: { float: 1 } });
  e.model.node("Mul", [activated, up], [output]);
}
