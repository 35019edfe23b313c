// Kinds of activations. Each is meant for a class of faults: sums that cancel show lost terms, one-hot rows show a
// single wrong index, tiny and large values show flushing and overflow, zeros show values that appear from nowhere.

import type { Random } from "./random.ts";

export const inputKinds = ["normal", "cancelling", "large", "tiny", "zeros", "one-hot"] as const;
export type InputKind = (typeof inputKinds)[number];

/** Activations [rows, width] in f32. */
export function activations(kind: InputKind, rows: number, width: number, random: Random): Float32Array {
  const data = new Float32Array(rows * width);
  for (let n = 0; n < rows; n++) fill(kind, data.subarray(n * width, (n + 1) * width), random);
  return data;
}

function fill(kind: InputKind, row: Float32Array, random: Random): void {
  switch (kind) {
    case "normal":
      for (let i = 0; i < row.length; i++) row[i] = random.normal();
      return;
    case "cancelling":
      // Neighbours nearly cancel: a large value, its negative, and small differences that are all that is left.
      for (let i = 0; i < row.length; i++) row[i] = (i % 2 === 0 ? 1000 : -1000) * (1 + 1e-3 * random.normal());
      return;
    case "large":
      for (let i = 0; i < row.length; i++) row[i] = random.normal() * 2 ** (10 + random.integer(20));
      return;
    case "tiny":
      // From normal numbers down into the subnormal ones.
      for (let i = 0; i < row.length; i++) row[i] = random.normal() * 2 ** -(110 + random.integer(38));
      return;
    case "zeros":
      return;
    case "one-hot":
      row[random.integer(row.length)] = 1 + random.uniform();
      return;
  }
}
