// Sines and cosines for rope. Angles are computed in float64 from `ropeFrequencies` and rounded once, so positions of
// any size are as exact as f32 can say. Tables grow with the positions that are used, and are shared by all sequences
// of a program. A sequence that starts elsewhere than at 0 has its own rows, starting there.

import { type Rotation, ropeFrequencies, ropeMagnitude } from "@polyllama/core";
import { rotationKey } from "@polyllama/planner";

/** f32 [rows, headDim / 2] each. */
export interface RotationTable {
  readonly rows: number;
  readonly cos: Float32Array<ArrayBuffer>;
  readonly sin: Float32Array<ArrayBuffer>;
}

/** Angles computed between two turns of the event loop; some milliseconds' worth. */
const anglesPerTurn = 1 << 17;

export class RotationTables {
  readonly #tables = new Map<string, RotationTable>();

  /** Rows for the positions `start` to `start + rows - 1`, perhaps more. */
  async rows(rotation: Rotation, start: number, rows: number): Promise<RotationTable> {
    if (start !== 0) return compute(rotation, start, rows, undefined);
    const key = rotationKey(rotation);
    const known = this.#tables.get(key);
    if (known !== undefined && known.rows >= rows) return known;
    const grown = await compute(rotation, 0, Math.max(rows, 2 * (known?.rows ?? 128)), known);
    this.#tables.set(key, grown);
    return grown;
  }
}

async function compute(
  rotation: Rotation,
  start: number,
  rows: number,
  known: RotationTable | undefined,
): Promise<RotationTable> {
  const frequencies = ropeFrequencies(rotation);
  const magnitude = ropeMagnitude(rotation);
  const half = frequencies.length;
  const cos = new Float32Array(rows * half);
  const sin = new Float32Array(rows * half);
  if (known !== undefined) {
    cos.set(known.cos);
    sin.set(known.sin);
  }
  const first = known?.rows ?? 0;
  for (let row = first, angles = 0; row < rows; row++, angles += half) {
    if (angles >= anglesPerTurn) {
      angles = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (let i = 0; i < half; i++) {
      const angle = (start + row) * frequencies[i]!;
      cos[row * half + i] = magnitude * Math.cos(angle);
      sin[row * half + i] = magnitude * Math.sin(angle);
    }
  }
  return { rows, cos, sin };
}
