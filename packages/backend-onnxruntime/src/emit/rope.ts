// rope, where attention does not do it itself. The tables of sines and cosines come from the host, which computes them in
// float64 and rounds once.

import type { Emission } from "./emission.ts";
import type { TensorName } from "./onnx.ts";

/** Tables [positions, d / 2] of one rotation. */
export interface RotationTables {
  readonly cos: TensorName;
  readonly sin: TensorName;
}

/** x [1, rows, H d], positions [1, rows] -> [1, rows, H d] */
export function emitRope(
  e: Emission,
  x: TensorName,
  positions: TensorName,
  { cos, sin }: RotationTables,
  output: TensorName,
): void {
  e.model.node("RotaryEmbedding", [x, positions, cos, sin], [output], { interleaved: { int: 1 } });
}
