// All cases of single operations, in the order of the graph's; cheap ones come first within an operation.

import { type OpName, opNames, type PerOp, trainingOps } from "@polyllama/core";
import { adamwCases } from "./adamw.ts";
import { addCases } from "./add.ts";
import { attentionCases, attentionExtraCases } from "./attention.ts";
import { attentionGradCases } from "./attention-grad.ts";
import { embeddingCases } from "./embedding.ts";
import { embeddingGradCases } from "./embedding-grad.ts";
import { linearCases } from "./linear.ts";
import { linearInputGradCases } from "./linear-input-grad.ts";
import { linearWeightGradCases } from "./linear-weight-grad.ts";
import { logProbabilityCases } from "./log-probability.ts";
import { logProbabilityGradCases } from "./log-probability-grad.ts";
import type { OpCase } from "./op-case.ts";
import { rmsNormCases } from "./rms-norm.ts";
import { rmsNormGradCases } from "./rms-norm-grad.ts";
import { ropeBackwardsCases, ropeCases } from "./rope.ts";
import { scaleCases } from "./scale.ts";
import { sumOfSquaresCases } from "./sum-of-squares.ts";
import { swigluCases } from "./swiglu.ts";
import { swigluGradCases } from "./swiglu-grad.ts";

const casesOf: PerOp<Record<OpName, () => readonly OpCase[]>> = {
  embedding: embeddingCases,
  rmsNorm: rmsNormCases,
  linear: linearCases,
  rope: ropeCases,
  attention: attentionCases,
  swiglu: swigluCases,
  add: addCases,
  logProbability: logProbabilityCases,
  logProbabilityGrad: logProbabilityGradCases,
  embeddingGrad: embeddingGradCases,
  rmsNormGrad: rmsNormGradCases,
  linearInputGrad: linearInputGradCases,
  linearWeightGrad: linearWeightGradCases,
  attentionGrad: attentionGradCases,
  swigluGrad: swigluGradCases,
  scale: scaleCases,
  sumOfSquares: sumOfSquaresCases,
  adamw: adamwCases,
};

/** All cases of single operations of inference, at the shapes of 7B, 13B and 70B among others. */
export function opCases(): readonly OpCase[] {
  const training = new Set<OpName>(trainingOps);
  return opNames.filter((op) => !training.has(op)).flatMap((op) => casesOf[op]());
}

/** Those of training, for backends that train: its ops, and what gradients ask of the others. */
export function trainingOpCases(): readonly OpCase[] {
  return [...ropeBackwardsCases(), ...attentionExtraCases(), ...trainingOps.flatMap((op) => casesOf[op]())];
}
