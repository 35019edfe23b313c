// swiglu: `QuickGelu` with alpha 1 is silu, computed in one pass.

import type { SwigluNode } from "@polyllama/core";
import { type Emission, emitValue } from "./emission.ts";
import type { TensorName } from "./onnx.ts";

/** gate, up [1, rows, F] -> [1, rows, F] */
export function emitSwiglu(node: SwigluNode, e: Emission): void {
  const { tensor } = e.values;
  emitValue(e, node.output, (name, need) => swiglu(e, tensor(node.gate, need), tensor(node.up, need), name));
}

function swiglu(e: Emission, gate: TensorName, up: TensorName, output: TensorName): void {
  const activated = e.model.fresh(`${output}:silu`);
  e.model.node("QuickGelu", [gate], [activated], { alpha: { float: 1 } });
  e.model.node("Mul", [activated, up], [output]);
}
