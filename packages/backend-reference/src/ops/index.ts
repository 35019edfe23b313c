// What every op means: its exact value, and the bound on the error of whoever computes it with other roundings.

import type { PerNode } from "@polyllama/core";
import { evaluateAdd } from "./add.ts";
import { evaluateAttention } from "./attention.ts";
import { evaluateEmbedding } from "./embedding.ts";
import type { Evaluated, Operands } from "./evaluator.ts";
import { evaluateLinear } from "./linear.ts";
import { evaluateRmsNorm } from "./rms-norm.ts";
import { evaluateRope } from "./rope.ts";
import { evaluateSwiglu } from "./swiglu.ts";

/** Evaluates a node, by op. */
export const evaluators: PerNode<[Operands], Evaluated> = {
  embedding: evaluateEmbedding,
  rmsNorm: evaluateRmsNorm,
  linear: evaluateLinear,
  rope: evaluateRope,
  attention: evaluateAttention,
  swiglu: evaluateSwiglu,
  add: evaluateAdd,
};
