// The two ways to compute. Decoding serves sequences that advance by few rows, and is bound by reading weights; prefill
// all others, and is bound by arithmetic. Which of them computes a sequence depends on that sequence alone, so that its
// result does not depend on what else is in the step. What each has kernels for is data for the planner.

import type { FormatName } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import type { ChunkMode, Fusion, PlanPreferences } from "@polyllama/planner";
import { convertedExtra, convertedUnit, convertedWords } from "./kernels/round_rows.ts";
import { vector } from "./weights/layout.ts";

export type Mode = "decode" | "prefill";

/** Most rows by which a sequence advances in decoding. */
export const decodeRows = 8;
/** Rows that are computed at once, at most. */
export const chunkRows = 512;

const unbounded = Number.POSITIVE_INFINITY;

export const chunkModes: readonly ChunkMode<Mode>[] = [
  { name: "decode", sequenceRows: decodeRows, rows: chunkRows, sequences: unbounded },
  { name: "prefill", sequenceRows: unbounded, rows: chunkRows, sequences: unbounded },
];

/** Least compute capability, times ten, whose tensor cores the kernels use. */
export const tensorCoreCapability = 80;

/** Formats whose linears go to tensor cores. */
export const tensorCoreFormats: readonly FormatName[] = (Object.keys(formats) as FormatName[]) // the record's own keys
  .filter((format) => format !== "f32");

/** What a mode has kernels for. */
export function preferences(mode: Mode, tensorCores: boolean): PlanPreferences {
  const common = { padding: vector, cachesAlone: true, partialGroups: true };
  if (mode === "decode") {
    const fusions: ReadonlySet<Fusion> = new Set(["normLinear", "linearAdd", "linearSwiglu", "ropeCache"]);
    return { ...common, selectsRows: false, fusions: { all: fusions, selected: fusions } };
  }
  const fusions: ReadonlySet<Fusion> = new Set(["linearAdd", "ropeCache"]);
  const conversion = tensorCores
    ? ({
        formats: new Set(tensorCoreFormats),
        absorbs: ["rmsNorm", "swiglu"],
        values: convertedUnit,
        words: convertedWords,
        extraWords: convertedExtra,
      } as const)
    : undefined;
  return { ...common, selectsRows: true, fusions: { all: fusions, selected: fusions }, conversion };
}
