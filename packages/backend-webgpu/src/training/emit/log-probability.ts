// Log-probabilities and their gradient, by pieces of the vocabulary: the logits of one piece are all that stand in memory.

import type { LogProbabilityGradNode, LogProbabilityNode } from "@polyllama/core";
import { f32, struct, type TrainingStep, u32 } from "@polyllama/planner";
import { declareKernel } from "../commands.ts";
import { type MatrixPiece, matrixPieces, pieceRows } from "../matrices.ts";
import { type Bound, type Emitted, placesOf, type TrainingEmission, unread } from "./emission.ts";
import { inputGradKernels, linearKernels, weightGradKernels } from "./linear.ts";

/** Bytes of the logits of a piece, where the device binds as many. */
const logitBytes = 16 << 20;

function piecesOf(weight: string, { rows, weights, gpu }: TrainingEmission): readonly MatrixPiece[] {
  const bytes = Math.min(logitBytes, gpu.limits.maxStorageBufferBindingSize);
  return matrixPieces(weight, weights, Math.max(1, Math.floor(bytes / (4 * rows * pieceRows))) * pieceRows);
}

/** Memory for the logits of a piece. */
function logitsOf(pieces: readonly MatrixPiece[], e: TrainingEmission): Bound {
  const width = Math.max(...pieces.map(({ count }) => count));
  const stride = 4 * Math.ceil(width / 4);
  return { view: e.scratch(e.rows * stride), stride, width };
}

const logSumExp = declareKernel(
  "log_sum_exp",
  struct({
    first: u32, // token of the first logit
    width: u32,
    x_stride: u32,
    y_stride: u32,
    sum_stride: u32,
    begins: u32, // 1 for the first piece
    ends: u32, // and for the last
    scale: f32, // 1 / temperature
  }),
  "rrwww",
);

export function emitLogProbability(node: LogProbabilityNode, step: TrainingStep, e: TrainingEmission): Emitted {
  const { read, made } = placesOf(step, e);
  const pieces = piecesOf(node.weight, e);
  const [x, targets, logits] = [read("x"), read("targets"), logitsOf(pieces, e)];
  const states = e.scratch(4 * e.rows);
  const one = { ...x, stride: 4, width: 1 };
  const [y, sums] = [made("out") ?? unread(one, e), made("logSumExp") ?? unread(one, e)];
  const label = `${node.op} ${node.output}`;
  return pieces.flatMap((piece, i): Emitted => {
    const parameters = {
      first: piece.first,
      width: piece.count,
      x_stride: logits.stride,
      y_stride: y.stride,
      sum_stride: sums.stride,
      begins: i === 0 ? 1 : 0,
      ends: i === pieces.length - 1 ? 1 : 0,
      scale: 1 / node.temperature,
    };
    const resources = [logits.view, targets.view, states, y.view, sums.view];
    return [
      ...linearKernels(label, [{ ...piece, first: 0 }], { x, y: logits }, e),
      logSumExp(label, {}, parameters, resources, [e.rows, 1, 1]),
    ];
  });
}

const softmaxGrad = declareKernel(
  "softmax_grad",
  struct({ first: u32, width: u32, x_stride: u32, sum_stride: u32, cotangent_stride: u32, scale: f32 }),
  "wrrr",
);

export function emitLogProbabilityGrad(node: LogProbabilityGradNode, step: TrainingStep, e: TrainingEmission): Emitted {
  const { read, made, added } = placesOf(step, e);
  const pieces = piecesOf(node.weight, e);
  const [x, targets, logits] = [read("x"), read("targets"), logitsOf(pieces, e)];
  const [sums, cotangent] = [read("logSumExp"), read("cotangent")];
  const [y, gradient] = [made("x"), made("weight")];
  const label = `${node.op} ${node.output}`;
  return pieces.flatMap((piece, i): Emitted => {
    const own = { ...piece, first: 0 };
    const parameters = {
      first: piece.first,
      width: piece.count,
      x_stride: logits.stride,
      sum_stride: sums.stride,
      cotangent_stride: cotangent.stride,
      scale: 1 / node.temperature,
    };
    const resources = [logits.view, targets.view, sums.view, cotangent.view];
    const byInput = y && { cotangent: logits, y, residual: added("x"), adds: i > 0 };
    const target = gradient && { y: gradient.view, residual: added("weight")?.view };
    return [
      ...linearKernels(label, [own], { x, y: logits }, e),
      softmaxGrad(label, {}, parameters, resources, [Math.ceil(piece.count / 64), e.rows, 1]),
      ...(byInput ? inputGradKernels(label, [own], byInput, e) : []),
      ...(target ? weightGradKernels(label, { x, cotangent: logits }, target, piece, e) : []),
    ];
  });
}
