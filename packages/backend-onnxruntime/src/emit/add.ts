// add, which takes in a normalization that follows.

import type { AddStep } from "@polyllama/planner";
import { type Emission, emitTensor } from "./emission.ts";
import type { TensorName } from "./onnx.ts";
import { addRmsNorm } from "./rms-norm.ts";

/** a, b [1, rows, D] -> [1, rows, D] */
export function emitAdd(step: AddStep, e: Emission): void {
  const { normed } = step;
  emitTensor(e, step, (name) => {
    const [a, b] = [e.tensors.at(step.a), e.tensors.at(step.b)];
    if (normed === undefined) return add(e, a, b, name);
    const norm = `${name}:normed`;
    addRmsNorm(e, normed.norm, [a, b], name, norm);
    e.tensors.define(normed.y.buffer, () => norm);
  });
}

function add(e: Emission, a: TensorName, b: TensorName, output: TensorName): void {
  e.model.node("Add", [a, b], [output]);
}
