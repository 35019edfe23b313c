// Where weights lie on the device. The planner says which are stored together, and that rows of gate and up alternate;
// a matrix beyond the limit of a binding is split by rows into parts, each in buffers of its own.

import { columnCount, type Graph, type WeightInfo, type WeightName } from "@polyllama/core";
import { groupWeights, type StoredWeights, type WeightGroup } from "@polyllama/planner";
import { weightPreferences } from "../modes.ts";
import { packedWords } from "../pack.ts";

/** Some rows of a matrix. */
export interface MatrixPart {
  /** Rows before it. */
  readonly before: number;
  readonly rows: number;
  /** Word at which the plane of high bits begins among the scales. */
  readonly high: number;
}

export interface WeightLayout extends StoredWeights {
  readonly parts: ReadonlyMap<WeightGroup, readonly MatrixPart[]>;
  readonly bytes: number;
}

/** What of the device's limits a layout follows. */
export type BufferLimits = Pick<GPUSupportedLimits, "maxStorageBufferBindingSize" | "maxBufferSize">;

/**
 * One layout for all the graphs that will use the weights.
 *
 * @param alone Whether each matrix is to be stored alone, as kernels of training want it.
 */
export function planWeights(
  graphs: readonly Graph[],
  infos: ReadonlyMap<WeightName, WeightInfo>,
  limits: BufferLimits,
  alone = false,
): WeightLayout {
  // No number of rows is a multiple of infinity, so that all stand alone.
  const rowMultiple = alone ? Number.POSITIVE_INFINITY : weightPreferences.rowMultiple;
  const stored = groupWeights(graphs, infos, { ...weightPreferences, rowMultiple });
  const parts = new Map(stored.groups.map((group) => [group, split(group, limits)]));
  let bytes = 0;
  for (const [{ format, columns }, ranges] of parts) {
    for (const { rows } of ranges) {
      const { quants, scales, high } = packedWords(format, rows, columns);
      bytes += 4 * (quants + scales + high);
    }
  }
  for (const info of stored.vectors) bytes += 4 * columnCount(info);
  return { ...stored, parts, bytes };
}

/** 65,535 workgroups of 4 rows are all that one dispatch has. */
const mostRows = 262_136;

function split({ format, rows, columns }: WeightGroup, limits: BufferLimits): readonly MatrixPart[] {
  const perRow = packedWords(format, 8, columns);
  const most = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  // A multiple of 8, so that scales of 16 bits end on whole words.
  const fitting = Math.floor(most / (Math.max(perRow.quants, perRow.scales + perRow.high) * 4)) * 8;
  const rowsPerPart = Math.min(mostRows, Math.max(8, fitting));
  const parts: MatrixPart[] = [];
  for (let before = 0; before < rows; before += rowsPerPart) {
    const count = Math.min(rowsPerPart, rows - before);
    parts.push({ before, rows: count, high: packedWords(format, count, columns).scales });
  }
  return parts;
}
