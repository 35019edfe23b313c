// Writes a node to the model, by op.

import type { PerNode } from "@polyllama/core";
import { emitAdd } from "./add.ts";
import { emitAttention } from "./attention.ts";
import type { Emission } from "./emission.ts";
import { emitLinear } from "./linear.ts";
import { emitRmsNorm } from "./rms-norm.ts";
import { emitRope } from "./rope.ts";
import { emitSwiglu } from "./swiglu.ts";

export const emitters: PerNode<[Emission], void> = {
  embedding: () => undefined, // its rows are the host's
  rmsNorm: emitRmsNorm,
  linear: emitLinear,
  rope: emitRope,
  attention: emitAttention,
  swiglu: emitSwiglu,
  add: emitAdd,
};
