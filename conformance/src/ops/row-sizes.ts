// Shapes and inputs of operations that work row by row on two values of the same width.

import { type Combinations, combinations } from "../combine.ts";
import { type InputKind, inputKinds } from "../inputs.ts";

/** Each width with one row and several, and each kind of input at one size. */
export function rowSizes(
  widths: readonly number[],
): Combinations<{ readonly n: number; readonly width: number; readonly input: InputKind }> {
  const sized = combinations.combine("width", widths).combine("n", [1, 7]).combine("input", ["normal"]);
  const kinds = combinations
    .combine(
      "input",
      inputKinds.filter((kind) => kind !== "normal"),
    )
    .with([{ n: 3, width: 320 }]);
  return combinations.with([...sized, ...kinds]);
}
