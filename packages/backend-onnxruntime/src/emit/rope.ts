// rope, where attention does not do it itself. The tables of sines and cosines come from the host, which computes them
// in float64 and rounds once.

import type { Rotation } from "@polyllama/core";
import { type RopeStep, rotationKey } from "@polyllama/planner";
import { type Emission, emitTensor } from "./emission.ts";
import type { TensorName } from "./onnx.ts";

/** Tables [positions, d / 2] of one rotation. */
export interface RotationTables {
  readonly cos: TensorName;
  readonly sin: TensorName;
}

/** x [1, rows, H d], positions [1, rows] -> [1, rows, H d] */
export function emitRope(step: RopeStep, e: Emission): void {
  const { model, tensors } = e;
  emitTensor(e, step, (name) => {
    const x = tensors.at(step.x);
    const positions = tensors.input("run positions", { kind: "positions" }, () =>
      model.input("run positions", "i64", [1, "rows"]),
    );
    const { cos, sin } = rotationTables(e, step.rotation);
    model.node("RotaryEmbedding", [x, positions, cos, sin], [name], { interleaved: { int: 1 } });
  });
}

/** Tables that all rotations alike share. */
export function rotationTables({ model, tensors }: Emission, rotation: Rotation): RotationTables {
  const { headDim } = rotation;
  const key = rotationKey(rotation);
  const table = (kind: "cos" | "sin"): TensorName => {
    const name = `${kind} ${key}`;
    return tensors.input(name, { kind, rotation }, () => model.input(name, "f32", [`positions ${key}`, headDim / 2]));
  };
  return { cos: table("cos"), sin: table("sin") };
}
