// Weights as kernels of training find them: rows of a matrix of any stored format.

import { rowCount, type WeightName } from "@polyllama/core";
import type { DeviceWeights } from "../../kernels/weights.ts";
import type { TrainingEmission } from "./emission.ts";

/** A weight's rows from one on. */
export function matrixOf(name: WeightName, { weights }: TrainingEmission, first = 0): DeviceWeights {
  const { group, firstRow } = weights.layout.places.get(name)!; // assertPlaced saw it
  return weights.matrix(group, firstRow + first);
}

/** Some rows of a weight. */
export interface RowRange {
  readonly first: number;
  readonly count: number;
}

/** Pieces of so many rows, the last of which may have fewer. */
export function cutRows(name: WeightName, most: number, { weights }: TrainingEmission): readonly RowRange[] {
  const rows = rowCount(weights.weights.get(name)!); // loaded for this graph
  const pieces = Math.ceil(rows / most);
  return Array.from({ length: pieces }, (_, i) => ({ first: i * most, count: Math.min(most, rows - i * most) }));
}
