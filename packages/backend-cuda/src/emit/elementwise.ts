// Additions and swiglus that no linear computes along.

import type { AddStep, SwigluStep } from "@polyllama/planner";
import { elementwise } from "../kernels/elementwise.ts";
import type { Launch } from "../launch.ts";
import type { Emitting } from "./emitting.ts";

export function emitAdd(step: AddStep, e: Emitting): Launch {
  return elementwise("add", e.count(step), e.at(step.a), e.at(step.b), e.at(step.y));
}

export function emitSwiglu(step: SwigluStep, e: Emitting): Launch {
  return elementwise("swiglu", e.count(step), e.at(step.gate), e.at(step.up), e.at(step.y));
}
