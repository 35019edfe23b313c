// Log-probabilities and their gradient, by pieces of the vocabulary: the logits of one piece are all that stand in memory.

import type { LogProbabilityGradNode, LogProbabilityNode } from "@polyllama/core";
import type { TrainingStep } from "@polyllama/planner";
import { gemm } from "../../kernels/gemm.ts";
import { inputGrad } from "../../kernels/input_grad.ts";
import { logSumExp, softmaxGrad, stateWords } from "../../kernels/log_probability.ts";
import { weightGrad } from "../../kernels/weight_grad.ts";
import type { DeviceRows } from "../../launch.ts";
import { type Emitted, placesOf, type TrainingEmission, unread } from "./emission.ts";
import { cutRows, matrixOf, type RowRange } from "./matrices.ts";

/** Bytes of the logits of a piece: as many as fill a card with tiles. */
const logitBytes = 8 << 20;
/** Rows of a weight that a piece has are a multiple of this, so that tiles are full. */
const pieceRows = 64;

function piecesOf(weight: string, e: TrainingEmission): readonly RowRange[] {
  const fitting = Math.floor(logitBytes / (4 * Math.max(1, e.rows) * pieceRows));
  return cutRows(weight, pieceRows * Math.max(1, fitting), e);
}

/** Memory for the logits of each piece in turn. */
function logitsOf(pieces: readonly RowRange[], e: TrainingEmission): (piece: RowRange) => DeviceRows {
  const stride = 4 * Math.ceil(Math.max(...pieces.map(({ count }) => count)) / 4);
  const address = e.scratch(e.rows * stride);
  return ({ count }) => ({ address, width: count, stride });
}

export function emitLogProbability(node: LogProbabilityNode, step: TrainingStep, e: TrainingEmission): Emitted {
  const { read, made } = placesOf(step, e);
  const [x, targets] = [read("x"), read("targets").address];
  const pieces = piecesOf(node.weight, e);
  const logitsAt = logitsOf(pieces, e);
  const one = { ...x, stride: 4, width: 1 };
  const found = {
    y: made("out") ?? unread(one, e),
    sums: made("logSumExp") ?? unread(one, e),
    states: e.scratch(stateWords * e.rows),
  };
  return pieces.flatMap((piece, i): Emitted => {
    const { first } = piece;
    const logits = logitsAt(piece);
    const place = { first, begins: i === 0, ends: i === pieces.length - 1 };
    return [
      gemm(e.rows, x, matrixOf(node.weight, e, first), logits, undefined),
      logSumExp(e.rows, logits, targets, node.temperature, place, found),
    ];
  });
}

export function emitLogProbabilityGrad(node: LogProbabilityGradNode, step: TrainingStep, e: TrainingEmission): Emitted {
  const { read, made, added } = placesOf(step, e);
  const [x, targets] = [read("x"), read("targets").address];
  const given = { sums: read("logSumExp"), cotangent: read("cotangent") };
  const pieces = piecesOf(node.weight, e);
  const logitsAt = logitsOf(pieces, e);
  const [byInput, byWeight, before] = [made("x"), made("weight"), added("weight")];
  return pieces.flatMap((piece, i): Emitted => {
    const { first } = piece;
    const logits = logitsAt(piece);
    const weight = matrixOf(node.weight, e, first);
    const launches = [
      gemm(e.rows, x, weight, logits, undefined),
      softmaxGrad(e.rows, logits, targets, node.temperature, first, given),
    ];
    if (byInput) launches.push(inputGrad(e.rows, logits, weight, byInput, i > 0 ? byInput : added("x")));
    if (byWeight) {
      const start = BigInt(4 * byWeight.stride * first);
      const residual = before && before.address + start;
      launches.push(weightGrad(e.rows, x, logits, { ...byWeight, address: byWeight.address + start, residual }));
    }
    return launches;
  });
}
