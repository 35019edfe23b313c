// Writes a step to the model, by its kind.

import type { PerStep } from "@polyllama/planner";
import { emitAdd } from "./add.ts";
import { emitAttention } from "./attention.ts";
import type { Emission } from "./emission.ts";
import { emitGather } from "./gather.ts";
import { emitLinear } from "./linear.ts";
import { emitRmsNorm } from "./rms-norm.ts";
import { emitRope } from "./rope.ts";
import { emitSwiglu } from "./swiglu.ts";

export const emitters: PerStep<[Emission], void> = {
  embedding({ label }) {
    throw new Error(`${label}: the host looks embeddings up`); // lower.ts says so
  },
  gather: emitGather,
  norm: emitRmsNorm,
  convert({ label }) {
    throw new Error(`${label}: no ONNX operator takes converted rows`); // lower.ts asks for none
  },
  linear: emitLinear,
  rope: emitRope,
  // Attention appends to its cache itself.
  cache: (step, { appending }) => void appending.set(step.attention.index, step),
  attention: emitAttention,
  swiglu: emitSwiglu,
  add: emitAdd,
};
