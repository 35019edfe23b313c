// How steps are cut and what there are kernels for. All sequences are computed in one way, whatever they advance by:
// kernels give a row the same sums in every company.

import type { FormatName } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import type { ChunkMode, Conversion, Fusion, PlanPreferences, WeightPreferences } from "@polyllama/planner";

/** Rows that are computed at once, at most. */
export const chunkRows = 512;
/** Rows of weights that lie interleaved (native/kernels/format.h). */
export const groupRows = 16;
/** Positions of a KV block (native/kernels/rope.h). */
export const kvBlockRows = 32;
/** Largest size of a head (native/kernels/rope.h). */
export const mostHeadDim = 512;
/** Rows of activations begin at whole cache lines. */
const padding = 16;

export const chunkModes: readonly ChunkMode<"all">[] = [
  { name: "all", sequenceRows: Number.POSITIVE_INFINITY, rows: chunkRows, sequences: Number.POSITIVE_INFINITY },
];

export const quantizedFormats: readonly FormatName[] = (Object.keys(formats) as FormatName[]) // the record's own keys
  .filter((format) => formats[format].blockSize > 1);

/** Inputs of quantized linears in int8: 16 words for 32 values (native/kernels/convert.h). */
const int8: Conversion = {
  formats: new Set(quantizedFormats),
  absorbs: ["rmsNorm", "swiglu"],
  values: 32,
  words: 16,
  extraWords: 16,
};

export type Activations = "int8" | "f32";

/** What there are kernels for. */
export function planPreferences(activations: Activations): PlanPreferences {
  const fusions: ReadonlySet<Fusion> = new Set(["linearAdd", "ropeCache"]);
  return {
    padding,
    cachesAlone: true,
    partialGroups: true,
    selectsRows: true,
    fusions: { all: fusions, selected: fusions },
    ...(activations === "int8" && { conversion: int8 }),
  };
}

/** Each member of a matrix begins with a group of rows. */
export const weightPreferences: WeightPreferences = { rowMultiple: groupRows, alternates: false };
