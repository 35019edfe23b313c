// Launches for each op of a training plan.

import { byOp, type PerNode } from "@polyllama/core";
import type { TrainingBuffer, TrainingStep } from "@polyllama/planner";
import { elementwise } from "../../kernels/elementwise.ts";
import { embedding } from "../../kernels/embedding.ts";
import { rmsNorm } from "../../kernels/rms_norm.ts";
import { rope } from "../../kernels/rope.ts";
import { scale } from "../../kernels/scale.ts";
import type { DeviceRows } from "../../launch.ts";
import { emitAttention, emitAttentionGrad } from "./attention.ts";
import { type Emitted, elementsOf, placesOf, rowsOf, type TrainingEmission } from "./emission.ts";
import { emitEmbeddingGrad, emitRmsNormGrad, emitSwigluGrad } from "./gradients.ts";
import { emitLogProbability, emitLogProbabilityGrad } from "./log-probability.ts";
import { matrixOf } from "./matrices.ts";
import { emitAdamW, emitSumOfSquares } from "./optimizer.ts";
import { emitInputGrad, emitProduct, emitWeightGrad } from "./products.ts";

const emitters: PerNode<[step: TrainingStep, e: TrainingEmission], Emitted> = {
  embedding(node, step, e) {
    const y = placesOf(step, e).made("out");
    return y === undefined ? [] : [embedding(e.rows, e.step, matrixOf(node.table, e), y)];
  },
  rmsNorm({ weight, eps }, step, e) {
    const { read, made } = placesOf(step, e);
    const y = made("out");
    return y === undefined ? [] : [rmsNorm(e.rows, read("x"), { weight: e.weights.vector(weight), eps }, y)];
  },
  linear(node, step, e) {
    const { read, made, added } = placesOf(step, e);
    const y = made("out");
    return y === undefined ? [] : emitProduct(e, read("x"), matrixOf(node.weight, e), y, added("out"));
  },
  rope(node, step, e) {
    const { read, made } = placesOf(step, e);
    const y = made("out");
    return y === undefined ? [] : [rope(e.rows, node.headDim, read("x"), e.rotation(node), y)];
  },
  attention: emitAttention,
  swiglu(_, step, e) {
    const { read, made } = placesOf(step, e);
    const y = made("out");
    return y === undefined ? [] : [elementwise("swiglu", e.rows, read("gate"), read("up"), y)];
  },
  add(_, step, e) {
    const [a, b, y] = [step.operands["a"]!, step.operands["b"]!, step.results["out"]]; // the op has two
    if (y === undefined) return [];
    const { rows, width, stride } = elementsOf(y, e);
    if (width < stride) return [elementwise("add", rows, rowsOf(a, e), rowsOf(b, e), rowsOf(y, e))];
    // One long row, as a matrix may have more rows than a grid.
    const flat = (buffer: TrainingBuffer): DeviceRows => {
      return { address: e.at(buffer), width: rows * width, stride: rows * width };
    };
    return [elementwise("add", 1, flat(a), flat(b), flat(y))];
  },
  logProbability: emitLogProbability,
  logProbabilityGrad: emitLogProbabilityGrad,
  embeddingGrad: emitEmbeddingGrad,
  rmsNormGrad: emitRmsNormGrad,
  linearInputGrad(node, step, e) {
    const { read, made, added } = placesOf(step, e);
    const y = made("out");
    return y === undefined ? [] : emitInputGrad(e, read("cotangent"), matrixOf(node.weight, e), y, added("out"));
  },
  linearWeightGrad(_, step, e) {
    const { read, made, added } = placesOf(step, e);
    const y = made("out");
    const residual = added("out")?.address;
    return y === undefined ? [] : emitWeightGrad(e, read("x"), read("cotangent"), { ...y, residual });
  },
  scale({ factor }, step, e) {
    const y = step.results["out"];
    return y === undefined ? [] : [scale(factor, elementsOf(step.operands["x"]!, e), elementsOf(y, e))]; // the op has one
  },
  attentionGrad: emitAttentionGrad,
  swigluGrad: emitSwigluGrad,
  sumOfSquares: emitSumOfSquares,
  adamw: emitAdamW,
};

/** What a step of a plan becomes. */
export function emitTraining(step: TrainingStep, e: TrainingEmission): Emitted {
  return byOp(emitters, step.node, step, e);
}
