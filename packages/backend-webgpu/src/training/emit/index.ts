// Kernels for each op of a training plan.

import { byOp, isFixed, type PerNode, rowsIn } from "@polyllama/core";
import type { TrainingStep } from "@polyllama/planner";
import { part } from "../commands.ts";
import { bindingPieces, strideOf } from "../layout.ts";
import { matrixPieces } from "../matrices.ts";
import { emitAttention, emitAttentionGrad } from "./attention.ts";
import { type Emitted, placesOf, type TrainingEmission } from "./emission.ts";
import { emitEmbeddingGrad, emitRmsNormGrad, emitSwigluGrad } from "./gradients.ts";
import { InferenceViews } from "./inference.ts";
import { inputGradKernels, linearKernels, weightGradKernels } from "./linear.ts";
import { emitLogProbability, emitLogProbabilityGrad } from "./log-probability.ts";
import { emitAdamW, emitSumOfSquares } from "./optimizer.ts";
import { emitScale } from "./scale.ts";

const emitters: PerNode<[step: TrainingStep, e: TrainingEmission], Emitted> = {
  embedding(node, step, e) {
    const { read, made } = placesOf(step, e);
    const y = made("out");
    if (y === undefined) return [];
    const views = new InferenceViews(e, read("tokens").view);
    const table = e.weights.layout.places.get(node.table)!; // assertPlaced saw it
    return views.emit(
      { kind: "embedding", label: `embedding ${node.output}`, rows: "all", table, y: views.place(y) },
      matrixPieces(node.table, e.weights).map((piece) => views.part(piece, piece.first)),
    );
  },
  rmsNorm(node, step, e) {
    const { read, made } = placesOf(step, e);
    const [views, y] = [new InferenceViews(e), made("out")];
    if (y === undefined) return [];
    const { weight, eps } = node;
    const places = { x: views.place(read("x")), y: views.place(y) };
    return views.emit({ kind: "norm", label: `rmsNorm ${node.output}`, rows: "all", norm: { weight, eps }, ...places });
  },
  linear(node, step, e) {
    const { read, made, added } = placesOf(step, e);
    const y = made("out");
    if (y === undefined) return [];
    const pieces = matrixPieces(node.weight, e.weights);
    return linearKernels(`linear ${node.output}`, pieces, { x: read("x"), y, residual: added("out") }, e);
  },
  rope(node, step, e) {
    const { read, made } = placesOf(step, e);
    const [views, y] = [new InferenceViews(e), made("out")];
    if (y === undefined) return [];
    const places = { x: views.place(read("x")), y: views.place(y), rotation: e.rotation(node) };
    return views.emitRope(
      { kind: "rope", label: `rope ${node.output}`, rows: "all", ...places },
      node.backwards === true,
    );
  },
  attention: emitAttention,
  swiglu(node, step, e) {
    const { read, made } = placesOf(step, e);
    const [views, y] = [new InferenceViews(e), made("out")];
    if (y === undefined) return [];
    const places = { gate: views.place(read("gate")), up: views.place(read("up")), y: views.place(y) };
    return views.emit({ kind: "swiglu", label: `swiglu ${node.output}`, rows: "all", ...places });
  },
  add(node, step, e) {
    const { read, made } = placesOf(step, e);
    const [a, b, y, buffer] = [read("a"), read("b"), made("out"), step.operands["a"]!]; // the op has two
    if (y === undefined) return [];
    const width = isFixed(buffer.type) ? strideOf(buffer) : a.width;
    return bindingPieces(rowsIn(buffer.type, e.rows), a.stride, e.gpu.limits).flatMap(({ first, count }) => {
      const views = new InferenceViews(e);
      const place = ({ view, stride }: typeof a) =>
        views.place({ view: part(view, first * stride, count * stride), stride, width });
      const places = { a: place(a), b: place(b), y: place(y), normed: undefined };
      return views.emit({ kind: "add", label: `add ${node.output}`, rows: "all", ...places }, [], count);
    });
  },
  logProbability: emitLogProbability,
  logProbabilityGrad: emitLogProbabilityGrad,
  embeddingGrad: emitEmbeddingGrad,
  rmsNormGrad: emitRmsNormGrad,
  linearInputGrad(node, step, e) {
    const { read, made, added } = placesOf(step, e);
    const y = made("out");
    if (y === undefined) return [];
    const operands = { cotangent: read("cotangent"), y, residual: added("out") };
    return inputGradKernels(`linearInputGrad ${node.output}`, matrixPieces(node.weight, e.weights), operands, e);
  },
  linearWeightGrad(node, step, e) {
    const { read, made, added } = placesOf(step, e);
    const y = made("out");
    if (y === undefined) return [];
    const operands = { x: read("x"), cotangent: read("cotangent") };
    const rows = { first: 0, count: operands.cotangent.width };
    const targets = { y: y.view, residual: added("out")?.view };
    return weightGradKernels(`linearWeightGrad ${node.output}`, operands, targets, rows, e);
  },
  scale: emitScale,
  attentionGrad: emitAttentionGrad,
  swigluGrad: emitSwigluGrad,
  sumOfSquares: emitSumOfSquares,
  adamw: emitAdamW,
};

/** What a step of a plan becomes. */
export function emitTraining(step: TrainingStep, e: TrainingEmission): Emitted {
  return byOp(emitters, step.node, step, e);
}
