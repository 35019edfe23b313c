// The sum of all squares of a value: of all gradients together it is the square of their global norm, by which they are
// clipped.

import { type NoAttributes, need, type OpDef, type OpNode } from "../op.ts";
import { fixedShape, showType } from "../type.ts";

/** `out = sum(x^2)`: x of any shape -> [1]. */
export const sumOfSquares: OpDef<NoAttributes, ["x"]> = {
  inputs: ["x"],
  parameters: [],
  results: ["out"],
  infer({ x }) {
    need(x.dtype === "f32", `sumOfSquares takes reals, not ${showType(x)}`);
    return { out: fixedShape([1]) };
  },
};

/** A node of `sumOfSquares`, with its operands by name. */
export type SumOfSquaresNode = OpNode<"sumOfSquares", typeof sumOfSquares>;
