// A norm that no linear computes along.

import type { NormStep } from "@polyllama/planner";
import { rmsNorm } from "../kernels/rms_norm.ts";
import type { Launch } from "../launch.ts";
import { countOf, type Emitting, normAt, rowsAt } from "./emitting.ts";

export function emitNorm(step: NormStep, e: Emitting): Launch {
  return rmsNorm(countOf(step, e), rowsAt(step.x, e), normAt(step.norm, e), rowsAt(step.y, e));
}
