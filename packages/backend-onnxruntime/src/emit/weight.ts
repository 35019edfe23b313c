// Weights: those of the packed file, and the stacks of adapters, which are in the model itself.

import { packedFile } from "@polyllama/planner/packed-weights";
import type { PackedArray } from "../pack/layout.ts";
import type { Emission } from "./emission.ts";
import type { TensorName } from "./onnx.ts";

/** An array as an initializer. */
export function emitWeight(e: Emission, { name, type, shape, offset, length, bytes }: PackedArray): TensorName {
  if (bytes !== undefined) return e.model.weight(`weight ${name}`, type, shape, bytes);
  return e.model.external(`weight ${name}`, { type, shape, file: packedFile, offset, length });
}
