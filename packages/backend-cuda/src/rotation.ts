// Sines and cosines for rope, computed in float64 from `ropeFrequencies` and rounded once, so positions of any size are as exact
// as f32 can say. Rows are kept, as every sequence asks for the same ones.

import { type RopeNode, ropeFrequencies, ropeMagnitude } from "@polyllama/core";

/** Positions whose rows are kept, per rotation. */
const keptPositions = 1 << 15;

interface Table {
  readonly frequencies: Float64Array;
  readonly magnitude: number;
  readonly rows: Map<number, Float32Array>;
}

const tables = new Map<string, Table>();

/** cos and sin of every pair at a position, interleaved: [headDim]. */
export function rotationRow(node: RopeNode, position: number): Float32Array {
  const key = JSON.stringify([node.headDim, node.theta, node.scaling]);
  let table = tables.get(key);
  if (table === undefined) {
    table = { frequencies: ropeFrequencies(node), magnitude: ropeMagnitude(node), rows: new Map() };
    tables.set(key, table);
  }
  const known = table.rows.get(position);
  if (known !== undefined) return known;
  const row = new Float32Array(node.headDim);
  for (const [i, frequency] of table.frequencies.entries()) {
    row[2 * i] = table.magnitude * Math.cos(position * frequency);
    row[2 * i + 1] = table.magnitude * Math.sin(position * frequency);
  }
  if (table.rows.size < keptPositions) table.rows.set(position, row);
  return row;
}
