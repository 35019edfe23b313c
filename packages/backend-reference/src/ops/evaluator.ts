// What the ops' files give: a function from a node to its exact value and its error bound, and what that function may
// look at.

import type { ByRole, NodeOf, OpName, Ops, PerOp, ResultRoles, WeightName } from "@polyllama/core";
import type { HostOperands } from "@polyllama/planner";
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

/** What an op's evaluator gives: of ops with several results each by its role. */
export type EvaluatedBy<O extends OpName> =
  ResultRoles<Ops[O]> extends readonly ["out"] ? Evaluated : ByRole<ResultRoles<Ops[O]>, Evaluated>;

/** A function for each op, from a node to its results. */
export type Evaluators = PerOp<{ [O in OpName]: (node: NodeOf<O>, operands: Operands) => EvaluatedBy<O> }>;

/** What a node is evaluated from. */
export interface Operands extends HostOperands<Float64Array> {
  /** Whether the graph is one of training. */
  readonly trains: boolean;
  weight(name: WeightName): LoadedWeight;
  /** Adds what the adapters of the rows' sequences make of x [N, K] to a linear's y [N, M], and returns y. */
  adapt(name: WeightName, x: Matrix, y: Matrix): Matrix;
  /** Adds to a linear's bound [N, M] how far a backend may be off in that, and returns it. */
  adaptBound(name: WeightName, x: Matrix, bound: Matrix, rounding: Rounding): Matrix;
}
