// How weights lie in memory: groups of 16 rows, interleaved, in their stored bits (native/kernels/format.h), all in one
// arena. Which weights are one matrix, rows below rows, the planner says.

import { columnCount, type FormatName, type Graph, type WeightInfo, type WeightName } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { groupWeights, type StoredWeights, type WeightGroup } from "@polyllama/planner";
import { groupRows, weightPreferences } from "../modes.ts";

/** Everything that graphs need of weights, and where it lies. */
export interface WeightLayout extends StoredWeights {
  /** Bytes before each matrix. */
  readonly matrices: ReadonlyMap<WeightGroup, number>;
  /** Bytes before each weight of a norm, which are f32. */
  readonly norms: ReadonlyMap<WeightName, number>;
  readonly bytes: number;
}

/** Bytes of a row, filled groups counted as 16 rows. */
function rowBytes(format: FormatName, columns: number): number {
  const { blockSize, blockBytes } = formats[format];
  return (columns / blockSize) * (format === "q8_k" ? 260 : blockBytes); // its sums follow from its quants
}

/** One layout for all graphs that will use the weights. */
export function planWeights(graphs: readonly Graph[], infos: ReadonlyMap<WeightName, WeightInfo>): WeightLayout {
  const stored = groupWeights(graphs, infos, weightPreferences);
  let bytes = 0;
  const place = (size: number): number => {
    const start = bytes;
    bytes = Math.ceil((bytes + size) / 64) * 64;
    return start;
  };
  const matrices = new Map<WeightGroup, number>();
  for (const group of stored.groups) {
    const rows = Math.ceil(group.rows / groupRows) * groupRows;
    matrices.set(group, place(rows * rowBytes(group.format, group.columns)));
  }
  const norms = new Map(stored.vectors.map((info) => [info.name, place(4 * columnCount(info))]));
  return { ...stored, matrices, norms, bytes };
}
