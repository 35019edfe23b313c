// What each kind of step becomes.

import { forStep, type PerStep, type PlanStep } from "@polyllama/planner";
import { emitAdd } from "./add.ts";
import { emitAttention } from "./attention.ts";
import { emitCache } from "./cache.ts";
import type { Emission, Emitted } from "./dispatch.ts";
import { emitEmbedding } from "./embedding.ts";
import { emitGather } from "./gather.ts";
import { emitLinear } from "./linear.ts";
import { emitNorm } from "./norm.ts";
import { emitRope } from "./rope.ts";
import { emitSwiglu } from "./swiglu.ts";

const emitters: PerStep<[Emission], Emitted> = {
  embedding: emitEmbedding,
  gather: emitGather,
  norm: emitNorm,
  convert({ label }) {
    throw new Error(`${label}: no WebGPU kernel takes converted rows`); // modes.ts asks for none
  },
  linear: emitLinear,
  rope: emitRope,
  cache: emitCache,
  attention: emitAttention,
  swiglu: emitSwiglu,
  add: emitAdd,
};

export function emit(step: PlanStep, emission: Emission): Emitted {
  return forStep(emitters, step, emission);
}
