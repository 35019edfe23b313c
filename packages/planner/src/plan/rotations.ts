// Rotations of a plan. Cosines and sines come from the host in a table with a row for each row of the step; rotations
// that are the same share its columns.

import type { Rotation } from "@polyllama/core";

/** A rotation with its first column in a row of the table, which has headDim / 2 pairs (cos, sin) for it. */
export interface PlacedRotation extends Rotation {
  readonly offset: number;
}

/** Equal for rotations that share a table. */
export function rotationKey({ headDim, theta, scaling }: Rotation): string {
  return JSON.stringify([headDim, theta, scaling]);
}

export function sameRotation(a: Rotation, b: Rotation): boolean {
  return rotationKey(a) === rotationKey(b);
}

/** The rotation's place in the table; a new one behind those before. */
export function placeRotation(rotations: PlacedRotation[], { headDim, theta, scaling }: Rotation): PlacedRotation {
  const known = rotations.find((rotation) => sameRotation(rotation, { headDim, theta, scaling }));
  if (known !== undefined) return known;
  const placed = { headDim, theta, scaling, offset: rotationStride(rotations) };
  rotations.push(placed);
  return placed;
}

/** Pairs in a row of the table. */
export function rotationStride(rotations: readonly PlacedRotation[]): number {
  return rotations.reduce((sum, { headDim }) => sum + headDim / 2, 0);
}
