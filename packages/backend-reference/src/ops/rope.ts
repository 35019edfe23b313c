// Pairs (2i, 2i + 1) of each head turn by position * frequency[i].

import { type RopeNode, ropeFrequencies, ropeMagnitude } from "@polyllama/core";
import { leastStep, type Rounding } from "../bounds.ts";
import { type Matrix, matrix } from "../matrix.ts";
import type { Evaluated, Operands } from "./evaluator.ts";

export function evaluateRope(node: RopeNode, { value, positions }: Operands): Evaluated {
  const x = value(node.x);
  const frequencies = ropeFrequencies(node);
  if (node.backwards) for (const [i, frequency] of frequencies.entries()) frequencies[i] = -frequency;
  const magnitude = ropeMagnitude(node);
  return {
    exact: () => rope(x, positions, frequencies, magnitude),
    bound: (rounding) => ropeBound(x, positions, frequencies, magnitude, rounding),
  };
}

/** x [N, H d], positions [N], frequencies [d / 2]; sine and cosine are multiplied by the magnitude -> [N, H d] */
function rope(x: Matrix, positions: readonly number[], frequencies: Float64Array, magnitude: number): Matrix {
  const y = matrix(x.rows, x.width);
  eachPair(x, positions, frequencies, magnitude, (at, cos, sin) => {
    const [a, b] = [x.data[at]!, x.data[at + 1]!];
    y.data[at] = a * cos - b * sin;
    y.data[at + 1] = a * sin + b * cos;
  });
  return y;
}

/** Each product carries the rounding of a table entry and its own, their sum one more. */
function ropeBound(
  x: Matrix,
  positions: readonly number[],
  frequencies: Float64Array,
  magnitude: number,
  rounding: Rounding,
): Matrix {
  const bound = matrix(x.rows, x.width);
  const least = 3 * leastStep(rounding);
  eachPair(x, positions, frequencies, magnitude, (at, cos, sin) => {
    const [a, b] = [Math.abs(x.data[at]!), Math.abs(x.data[at + 1]!)];
    bound.data[at] = 3 * rounding.unit * (a * Math.abs(cos) + b * Math.abs(sin)) + least;
    bound.data[at + 1] = 3 * rounding.unit * (a * Math.abs(sin) + b * Math.abs(cos)) + least;
  });
  return bound;
}

function eachPair(
  x: Matrix,
  positions: readonly number[],
  frequencies: Float64Array,
  magnitude: number,
  visit: (at: number, cos: number, sin: number) => void,
): void {
  const pairs = frequencies.length;
  for (let n = 0; n < x.rows; n++) {
    for (let i = 0; i < pairs; i++) {
      const angle = positions[n]! * frequencies[i]!;
      const [cos, sin] = [magnitude * Math.cos(angle), magnitude * Math.sin(angle)];
      for (let head = 0; head < x.width; head += 2 * pairs) visit(n * x.width + head + 2 * i, cos, sin);
    }
  }
}
