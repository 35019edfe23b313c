// What the ops' files give: a function from a node to its exact value and its error bound, and what that function may look at.

import type { AttentionNode, ValueName, WeightName } from "@polyllama/core";
import type { Rounding } from "../bounds.ts";
import type { LoadedWeight } from "../loaded-weight.ts";
import type { Matrix } from "../matrix.ts";

/** A node's output. Each part is computed when it is asked for. */
export interface Evaluated {
  /** [N, width], in float64. */
  exact(): Matrix;
  /** [N, width]: how far a backend with these roundings may be from each element, given exact operands. */
  bound(rounding: Rounding): Matrix;
}

/** What a node is evaluated from. */
export interface Operands {
  /** [N, width] */
  value(name: ValueName): Matrix;
  /** [N] */
  tokens(name: ValueName): Int32Array;
  weight(name: WeightName): LoadedWeight;
  /** Adds what the adapters of the rows' sequences make of x [N, K] to a linear's y [N, M], and returns y. */
  adapt(name: WeightName, x: Matrix, y: Matrix): Matrix;
  /** Elements in a row of a value. */
  width(name: ValueName): number;
  /** Position of each row. */
  readonly positions: readonly number[];
  /** Appends the node's rows of k and v to the caches, and gives what the rows of each sequence attend to. */
  append(node: AttentionNode): readonly Attended[];
}

/** A sequence's rows in a step, and the keys and values up to and including them. */
export interface Attended {
  readonly first: number;
  readonly rows: number;
  /** Place of the first row among the keys. */
  readonly start: number;
  readonly past: KeysAndValues;
}

/** All keys and values that a sequence has so far: [length, G d] each. */
export interface KeysAndValues {
  readonly k: Float64Array;
  readonly v: Float64Array;
}
