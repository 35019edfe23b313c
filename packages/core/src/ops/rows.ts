// What the ops' rules of types have in common: operands are rows of reals, whose number a step knows.

import { need } from "../op.ts";
import { showType, type TensorType, widthOf } from "../type.ts";

/** Width of an operand [N, width]. @throws {PolyllamaError} `ERR_GRAPH` for one of another kind. */
export function rowWidth(op: string, role: string, type: TensorType): number {
  const reals = type.dtype === "f32" && type.shape.length === 2 && typeof type.shape[1] === "number";
  need(reals, `${op} takes rows of reals [N, width] as ${role}, not ${showType(type)}`);
  return widthOf(type);
}

/** As many rows as `x`, of another width. */
export function rowsLike(x: TensorType, width: number): TensorType {
  return { dtype: "f32", shape: [...x.shape.slice(0, 1), width] };
}
