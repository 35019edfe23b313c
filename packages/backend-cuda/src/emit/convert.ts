// Brings a linear's input to f16 for tensor cores.

import type { ConvertStep } from "@polyllama/planner";
import { roundRows } from "../kernels/round_rows.ts";
import type { Launch } from "../launch.ts";
import { countOf, type Emitting, normAt, rowsAt } from "./emitting.ts";

export function emitConvert(step: ConvertStep, e: Emitting): Launch {
  const { x, norm, up, y } = step;
  const along = { norm: norm && normAt(norm, e), up: up && rowsAt(up, e) };
  return roundRows(countOf(step, e), rowsAt(x, e), along, rowsAt(y, e));
}
