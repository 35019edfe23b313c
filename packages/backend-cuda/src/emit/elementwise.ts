// Additions and swiglus that no linear computes along.

import type { AddStep, SwigluStep } from "@polyllama/planner";
import { elementwise } from "../kernels/elementwise.ts";
import type { Launch } from "../launch.ts";
import { countOf, type Emitting, rowsAt } from "./emitting.ts";

export function emitAdd(step: AddStep, e: Emitting): Launch {
  return elementwise("add", countOf(step, e), rowsAt(step.a, e), rowsAt(step.b, e), rowsAt(step.y, e));
}

export function emitSwiglu(step: SwigluStep, e: Emitting): Launch {
  return elementwise("swiglu", countOf(step, e), rowsAt(step.gate, e), rowsAt(step.up, e), rowsAt(step.y, e));
}
