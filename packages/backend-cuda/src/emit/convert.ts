// Brings a linear's input to f16 for tensor cores.

import type { ConvertStep } from "@polyllama/planner";
import { roundRows } from "../kernels/round_rows.ts";
import type { Launch } from "../launch.ts";
import type { Emitting } from "./emitting.ts";

export function emitConvert(step: ConvertStep, e: Emitting): Launch {
  const { x, norm, up, y } = step;
  return roundRows(e.count(step), e.at(x), { norm: norm && e.norm(norm), up: up && e.at(up) }, e.at(y));
}
