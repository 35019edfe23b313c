// Gradients of norms, swiglu and embeddings.

import type { EmbeddingGradNode, RmsNormGradNode, SwigluGradNode } from "@polyllama/core";
import { f32, struct, type TrainingStep, u32 } from "@polyllama/planner";
import { type Command, copy, declareKernel, part } from "../commands.ts";
import { bindingPieces, matrixStride } from "../layout.ts";
import { vectorView } from "../matrices.ts";
import { type Emitted, placesOf, type TrainingEmission, unread } from "./emission.ts";

const normGrad = declareKernel(
  "norm_grad",
  struct({ width: u32, x_stride: u32, cotangent_stride: u32, y_stride: u32, residual_stride: u32, eps: f32 }),
  "rrrwwr",
);

const normWeightGrad = declareKernel(
  "norm_weight_grad",
  struct({ width: u32, x_stride: u32, cotangent_stride: u32 }),
  "rrrwr",
);

export function emitRmsNormGrad(node: RmsNormGradNode, step: TrainingStep, e: TrainingEmission): Emitted {
  const { read, made, added } = placesOf(step, e);
  const [x, cotangent, residual, gradient] = [read("x"), read("cotangent"), added("x"), made("weight")];
  const y = made("x") ?? unread(x, e);
  const inverses = e.scratch(e.rows);
  const label = `rmsNormGrad ${node.output}`;
  const shared = { width: x.width, x_stride: x.stride, cotangent_stride: cotangent.stride };
  const own = { ...shared, y_stride: y.stride, residual_stride: residual?.stride ?? 0, eps: node.eps };
  const resources = [x.view, cotangent.view, vectorView(node.weight, e.weights), inverses, y.view];
  const kernels = [
    normGrad(
      label,
      { RESIDUAL: residual !== undefined },
      own,
      [...resources, ...(residual ? [residual.view] : [])],
      [e.rows, 1, 1],
    ),
  ];
  if (gradient === undefined) return kernels;
  const before = added("weight");
  const summed = [x.view, cotangent.view, inverses, gradient.view, ...(before ? [before.view] : [])];
  const grid = [Math.ceil(x.width / 64), 1, 1] as const;
  return [...kernels, normWeightGrad(label, { RESIDUAL: before !== undefined }, shared, summed, grid)];
}

const swigluGrad = declareKernel(
  "swiglu_grad",
  struct({
    width: u32,
    gate_stride: u32,
    up_stride: u32,
    cotangent_stride: u32,
    gate_grad_stride: u32,
    up_grad_stride: u32,
  }),
  "rrrww",
);

export function emitSwigluGrad(node: SwigluGradNode, step: TrainingStep, e: TrainingEmission): Emitted {
  const { read, made } = placesOf(step, e);
  const [gate, up, cotangent] = [read("gate"), read("up"), read("cotangent")];
  const [byGate, byUp] = [made("gate") ?? unread(gate, e), made("up") ?? unread(up, e)];
  const parameters = {
    width: gate.width,
    gate_stride: gate.stride,
    up_stride: up.stride,
    cotangent_stride: cotangent.stride,
    gate_grad_stride: byGate.stride,
    up_grad_stride: byUp.stride,
  };
  const resources = [gate.view, up.view, cotangent.view, byGate.view, byUp.view];
  return [swigluGrad(`swigluGrad ${node.output}`, {}, parameters, resources, [Math.ceil(gate.width / 64), e.rows, 1])];
}

const tokenLinks = declareKernel("token_links", struct({ unused: u32 }), "rw");

const embeddingGrad = declareKernel(
  "embedding_grad",
  struct({
    rows: u32, // of this part of the table
    before: u32, // rows of the parts before
    width: u32,
    cotangent_stride: u32,
    y_stride: u32,
  }),
  "rrrw",
);

export function emitEmbeddingGrad(node: EmbeddingGradNode, step: TrainingStep, e: TrainingEmission): Emitted {
  const { read, made, added } = placesOf(step, e);
  const [tokens, cotangent, residual, y] = [read("tokens"), read("cotangent"), added("out"), made("out")];
  if (y === undefined) return [];
  const links = e.scratch(2 * e.rows);
  const label = `embeddingGrad ${node.output}`;
  const stride = matrixStride(cotangent.width);
  const begun: Command = residual === undefined ? { kind: "clear", to: y.view } : copy(residual.view, y.view);
  const linked = tokenLinks(label, {}, { unused: 0 }, [tokens.view, links], [Math.ceil(e.rows / 64), 1, 1]);
  const parts = bindingPieces(node.tableRows, stride, e.gpu.limits).map(({ first, count }) =>
    embeddingGrad(
      label,
      {},
      {
        rows: count,
        before: first,
        width: cotangent.width,
        cotangent_stride: cotangent.stride,
        y_stride: stride,
      },
      [tokens.view, links, cotangent.view, part(y.view, first * stride, count * stride)],
      [Math.ceil(cotangent.width / 64), e.rows, 1],
    ),
  );
  return [begun, linked, ...parts];
}
