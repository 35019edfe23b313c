// Weights of the packed file.

import { packedFile } from "@polyllama/planner/packed-weights";
import type { PackedArray } from "../pack/layout.ts";
import type { Emission } from "./emission.ts";
import type { TensorName } from "./onnx.ts";

/** A packed array as an initializer. */
export function emitWeight(e: Emission, { name, type, shape, offset, length }: PackedArray): TensorName {
  return e.model.external(`weight ${name}`, { type, shape, file: packedFile, offset, length });
}
