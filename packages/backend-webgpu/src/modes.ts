// The two modes that steps are computed in, and what the planner is told of each. `decode` serves sequences that
// advance by one row each: few rows, many keys; norms, residuals and swiglu are then done by the linears beside them,
// which saves dispatches. `prefill` serves all others: there, norms are done once for all the tiles that read them, and
// kernels for few rows serve the end of the graph, where only the last rows are left.

import {
  type ChunkMode,
  type Fusion,
  fittingRows,
  type PlanPreferences,
  type WeightPreferences,
} from "@polyllama/planner";
import type { KernelFamily } from "./gpu.ts";
import { maxSegments } from "./program/step.ts";

export type Mode = "decode" | "prefill";

/** Rows of a step that are computed at once, at most. */
export const chunkRows = { decode: 16, prefill: 128 } as const;
/** Rows of activations start at whole vectors. */
const padding = 4;

/**
 * Each member of a matrix starts at a whole vector of its output, and an invocation has rows of gate and up side by
 * side.
 */
export const weightPreferences: WeightPreferences = { rowMultiple: padding, alternates: true };

/** Kernels for few rows. */
const few: readonly Fusion[] = ["normLinear", "linearAdd", "linearSwiglu", "ropeCache"];
/** Kernels for many; those of software adapters pair gate and up, tiles of GPUs do not. */
const many: Readonly<Record<KernelFamily, readonly Fusion[]>> = {
  software: ["linearAdd", "linearSwiglu", "ropeCache"],
  hardware: ["linearAdd", "ropeCache"],
};

/** What there are kernels for. */
export function planPreferences(mode: Mode, family: KernelFamily): PlanPreferences {
  return {
    padding,
    selectsRows: mode === "prefill", // in decoding every row is its sequence's last
    cachesAlone: true,
    partialGroups: false,
    fusions: { all: new Set(mode === "decode" ? few : many[family]), selected: new Set(few) },
  };
}

/** How steps are cut, where the widest activation has so many values and a buffer so many bytes. */
export function chunkModes(widest: number, bufferBytes: number): readonly ChunkMode<Mode>[] {
  const bytes = 4 * Math.ceil(widest / padding) * padding;
  const rows = (mode: Mode): number => fittingRows(chunkRows[mode], bytes, bufferBytes);
  return [
    { name: "decode", sequenceRows: 1, rows: rows("decode"), sequences: maxSegments },
    { name: "prefill", sequenceRows: Number.POSITIVE_INFINITY, rows: rows("prefill"), sequences: maxSegments },
  ];
}
