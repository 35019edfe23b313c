// A linear: for the few rows of decoding one that reads weights once, for prompts one in tiles, on tensor cores where
// its input was converted for them.

import type { LinearStep } from "@polyllama/planner";
import { gemm } from "../kernels/gemm.ts";
import { gemmMma } from "../kernels/gemm_mma.ts";
import { gemv } from "../kernels/gemv.ts";
import type { Launch } from "../launch.ts";
import { countOf, type Emitting, normAt, rowsAt } from "./emitting.ts";

export function emitLinear(step: LinearStep, e: Emitting): Launch {
  const { group, firstRow, gated } = step;
  const rows = countOf(step, e);
  const weights = e.weights.matrix(group, gated?.gateRow ?? firstRow);
  const [x, y] = [rowsAt(step.x, e), rowsAt(step.y, e)];
  const residual = step.residual && rowsAt(step.residual, e);
  if (e.mode === "decode") {
    return gemv(rows, x, weights, y, { norm: step.norm && normAt(step.norm, e), residual, up: gated?.upRow });
  }
  if (!step.converted) return gemm(rows, x, weights, y, residual);
  return gemmMma(rows, x, weights, e.weights.exponents?.of(group) ?? 0n, y, residual);
}
