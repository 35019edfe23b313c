// What every op means: its exact value, and the bound on the error of whoever computes it with other roundings.

import { type Node, ops, resultRoles } from "@polyllama/core";
import { evaluateAdamW } from "./adamw.ts";
import { evaluateAdd } from "./add.ts";
import { evaluateAttention } from "./attention.ts";
import { evaluateAttentionGrad } from "./attention-grad.ts";
import { evaluateEmbedding } from "./embedding.ts";
import { evaluateEmbeddingGrad } from "./embedding-grad.ts";
import type { Evaluated, Evaluators, Operands } from "./evaluator.ts";
import { evaluateLinear } from "./linear.ts";
import { evaluateLinearInputGrad } from "./linear-input-grad.ts";
import { evaluateLinearWeightGrad } from "./linear-weight-grad.ts";
import { evaluateLogProbability } from "./log-probability.ts";
import { evaluateLogProbabilityGrad } from "./log-probability-grad.ts";
import { evaluateRmsNorm } from "./rms-norm.ts";
import { evaluateRmsNormGrad } from "./rms-norm-grad.ts";
import { evaluateRope } from "./rope.ts";
import { evaluateScale } from "./scale.ts";
import { evaluateSumOfSquares } from "./sum-of-squares.ts";
import { evaluateSwiglu } from "./swiglu.ts";
import { evaluateSwigluGrad } from "./swiglu-grad.ts";

const evaluators: Evaluators = {
  embedding: evaluateEmbedding,
  rmsNorm: evaluateRmsNorm,
  linear: evaluateLinear,
  rope: evaluateRope,
  attention: evaluateAttention,
  swiglu: evaluateSwiglu,
  add: evaluateAdd,
  logProbability: evaluateLogProbability,
  logProbabilityGrad: evaluateLogProbabilityGrad,
  embeddingGrad: evaluateEmbeddingGrad,
  rmsNormGrad: evaluateRmsNormGrad,
  linearInputGrad: evaluateLinearInputGrad,
  linearWeightGrad: evaluateLinearWeightGrad,
  attentionGrad: evaluateAttentionGrad,
  swigluGrad: evaluateSwigluGrad,
  scale: evaluateScale,
  sumOfSquares: evaluateSumOfSquares,
  adamw: evaluateAdamW,
};

/** Evaluates a node: its results, in their order. */
export function evaluate(node: Node, operands: Operands): readonly Evaluated[] {
  // The compiler does not see that the entry found by a node's op takes nodes of that op.
  const evaluator = evaluators[node.op] as (node: Node, operands: Operands) => unknown;
  const made = evaluator(node, operands);
  const { extras = [], results }: { readonly extras?: readonly string[]; readonly results: readonly string[] } =
    ops[node.op];
  if (String([...results, ...extras]) === "out") return [made as Evaluated]; // as `EvaluatedBy` says
  return resultRoles(node.op, node).map((role) => (made as Readonly<Record<string, Evaluated>>)[role]!); // likewise
}
