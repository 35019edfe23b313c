// Launches for each kind of step of a plan.

import { forStep, type PerStep, type PlanStep } from "@polyllama/planner";
import type { Launch } from "../launch.ts";
import { emitAttention } from "./attention.ts";
import { emitCache } from "./cache.ts";
import { emitConvert } from "./convert.ts";
import { emitAdd, emitSwiglu } from "./elementwise.ts";
import { emitEmbedding } from "./embedding.ts";
import type { Emitting } from "./emitting.ts";
import { emitGather } from "./gather.ts";
import { emitLinear } from "./linear.ts";
import { emitNorm } from "./norm.ts";
import { emitRope } from "./rope.ts";

const emitters: PerStep<[Emitting], Launch | readonly Launch[]> = {
  embedding: emitEmbedding,
  gather: emitGather,
  norm: emitNorm,
  convert: emitConvert,
  linear: emitLinear,
  rope: emitRope,
  cache: emitCache,
  attention: emitAttention,
  swiglu: emitSwiglu,
  add: emitAdd,
};

/** All launches of a plan, without those that have nothing to do. */
export function emit(steps: readonly PlanStep[], e: Emitting): readonly Launch[] {
  return steps.flatMap((step) => forStep(emitters, step, e)).filter(({ grid }) => grid.every((blocks) => blocks > 0));
}
