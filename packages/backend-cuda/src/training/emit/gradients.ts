// Gradients of norms, swiglu and embeddings.

import type { EmbeddingGradNode, RmsNormGradNode, SwigluGradNode } from "@polyllama/core";
import type { TrainingStep } from "@polyllama/planner";
import { embeddingGrad, linkWords, tokenLinks } from "../../kernels/embedding_grad.ts";
import { normGrad, normWeightGrad } from "../../kernels/norm_grad.ts";
import { scale, zeros } from "../../kernels/scale.ts";
import { swigluGrad } from "../../kernels/swiglu_grad.ts";
import { type Emitted, elementsOf, placesOf, type TrainingEmission, unread } from "./emission.ts";

export function emitRmsNormGrad(node: RmsNormGradNode, step: TrainingStep, e: TrainingEmission): Emitted {
  const { read, made, added } = placesOf(step, e);
  const x = read("x");
  const given = { x, cotangent: read("cotangent"), inverses: e.scratch(e.rows) };
  const norm = { weight: e.weights.vector(node.weight), eps: node.eps };
  const byWeight = made("weight");
  return [
    normGrad(e.rows, given, norm, made("x") ?? unread(x, e), added("x")),
    ...(byWeight ? [normWeightGrad(e.rows, given, byWeight.address, added("weight")?.address)] : []),
  ];
}

export function emitSwigluGrad(_: SwigluGradNode, step: TrainingStep, e: TrainingEmission): Emitted {
  const { read, made } = placesOf(step, e);
  const [gate, up] = [read("gate"), read("up")];
  const grads = { gate: made("gate") ?? unread(gate, e), up: made("up") ?? unread(up, e) };
  return [swigluGrad(e.rows, { gate, up }, read("cotangent"), grads)];
}

export function emitEmbeddingGrad(node: EmbeddingGradNode, step: TrainingStep, e: TrainingEmission): Emitted {
  const [y, residual] = [step.results["out"], step.residuals["out"]];
  if (y === undefined) return [];
  const table = elementsOf(y, e);
  const links = e.scratch(linkWords * e.rows);
  return [
    residual === undefined ? zeros(table) : scale(1, elementsOf(residual, e), table),
    tokenLinks(e.rows, e.step, links),
    embeddingGrad(e.rows, e.step, links, placesOf(step, e).read("cotangent"), { ...table, rows: node.tableRows }),
  ];
}
