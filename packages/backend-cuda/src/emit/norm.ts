// A norm that no linear computes along.

import type { NormStep } from "@polyllama/planner";
import { rmsNorm } from "../kernels/rms_norm.ts";
import type { Launch } from "../launch.ts";
import type { Emitting } from "./emitting.ts";

export function emitNorm(step: NormStep, e: Emitting): Launch {
  return rmsNorm(e.count(step), e.at(step.x), e.norm(step.norm), e.at(step.y));
}
