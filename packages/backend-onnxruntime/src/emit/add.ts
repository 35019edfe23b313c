// add, which takes in a normalization that follows.

import type { AddNode, RmsNormNode } from "@polyllama/core";
import { type Emission, emitValue, nameFor } from "./emission.ts";
import { emitWeight } from "./linear.ts";
import type { TensorName } from "./onnx.ts";
import { addRmsNorm } from "./rms-norm.ts";

/** a, b [1, rows, D] -> [1, rows, D] */
export function emitAdd(node: AddNode, e: Emission): void {
  const { tensor, define } = e.values;
  emitValue(e, node.output, (name, need) => {
    const [a, b] = [tensor(node.a, need), tensor(node.b, need)];
    const norm = e.consumers
      .get(node.output)
      ?.find((next): next is RmsNormNode => next.op === "rmsNorm" && e.needs.get(next.output) === need);
    if (norm === undefined) return add(e, a, b, name);
    const normed = nameFor(norm.output, need);
    addRmsNorm(e, norm, [a, b], emitWeight(e, e.layout.norms.get(norm.weight)!), name, normed);
    define(norm.output, need, () => normed);
  });
}

function add(e: Emission, a: TensorName, b: TensorName, output: TensorName): void {
  e.model.node("Add", [a, b], [output]);
}
