// Cosines and sines of rope for backends whose device should not compute them: WGSL's own functions are only accurate
// to 2^-11. They are computed in float64 on the host and rounded once. A row of the table holds the pairs (cos, sin) of
// each distinct rotation, one behind another.

import { type Rotation, ropeFrequencies, ropeMagnitude } from "./rope.ts";

interface Angles {
  readonly frequencies: Float64Array;
  readonly magnitude: number;
}

/** Rows [sum of headDim] for the given rotations. */
export class RotationTable {
  readonly #angles: readonly Angles[];
  /** Rows by position; a long text uses each only once more when it is read again. */
  readonly #rows = new Map<number, Float32Array>();

  constructor(rotations: readonly Rotation[]) {
    this.#angles = rotations.map((rotation) => ({
      frequencies: ropeFrequencies(rotation),
      magnitude: ropeMagnitude(rotation),
    }));
  }

  /** Writes the rows of the given positions behind one another. */
  write(positions: Iterable<number>, target: Float32Array): void {
    let at = 0;
    for (const position of positions) {
      let row = this.#rows.get(position);
      if (row === undefined) {
        if (this.#rows.size >= keptRows) this.#rows.clear();
        row = this.#row(position);
        this.#rows.set(position, row);
      }
      target.set(row, at);
      at += row.length;
    }
  }

  #row(position: number): Float32Array {
    const row: number[] = [];
    for (const { frequencies, magnitude } of this.#angles) {
      for (const frequency of frequencies) {
        const angle = position * frequency;
        row.push(magnitude * Math.cos(angle), magnitude * Math.sin(angle));
      }
    }
    return Float32Array.from(row);
  }
}

const keptRows = 8192;
