// The list of ops. Whatever has an entry per op, here and in other packages, is a table `PerOp`: one that lacks an op
// does not compile.

import type { AnyOp, OpNode, ValueName, WeightName } from "../op.ts";
import { resultName } from "../op.ts";
import { add } from "./add.ts";
import { attention } from "./attention.ts";
import { embedding } from "./embedding.ts";
import { linear } from "./linear.ts";
import { rmsNorm } from "./rms-norm.ts";
import { rope } from "./rope.ts";
import { swiglu } from "./swiglu.ts";

/** Every op by name; what stands here is also the documentation of the graph builder's methods. */
export interface Ops {
  /** tokens [N], table [V, D] -> [N, D]: row look-up. */
  readonly embedding: typeof embedding;
  /** x [N, D], weight [D] -> [N, D]: x / sqrt(mean(x²) + eps) · weight. */
  readonly rmsNorm: typeof rmsNorm;
  /** x [N, K], weight [M, K] -> [N, M]: x Wᵀ. */
  readonly linear: typeof linear;
  /** x [N, H d] -> same: interleaved pairs turn by position · frequency. */
  readonly rope: typeof rope;
  /** q [N, H d], k and v [N, G d] -> [N, H d]: appends k and v to the cache; causal, with grouped queries. */
  readonly attention: typeof attention;
  /** gate, up [N, F] -> [N, F]: silu(gate) · up. */
  readonly swiglu: typeof swiglu;
  /** a, b -> same: the residual stream. */
  readonly add: typeof add;
}

/** Every op by name. */
export const ops: Ops = { embedding, rmsNorm, linear, rope, attention, swiglu, add } satisfies Record<string, AnyOp>;

/** The operations that a backend implements. */
export type OpName = keyof Ops;
/** The names of {@link ops}, in the order of the list. */
export const opNames: readonly OpName[] = Object.keys(ops) as OpName[]; // the record's own keys

/** Something for each op. */
export type PerOp<T extends { [O in OpName]: unknown }> = { readonly [O in OpName]: T[O] };

/** A node of the given op. */
export type NodeOf<O extends OpName> = { [P in O]: OpNode<P, Ops[P]> }[O];
/** An operation of a graph, with its operands by name. */
export type Node = NodeOf<OpName>;

/** A function for each op, which takes a node of it. */
export type PerNode<Rest extends readonly unknown[], Result> = PerOp<{
  [O in OpName]: (node: NodeOf<O>, ...rest: Rest) => Result;
}>;

/** Calls a table's function for the node's op. */
export function byOp<Rest extends readonly unknown[], Result>(
  table: PerNode<Rest, Result>,
  node: Node,
  ...rest: Rest
): Result {
  // The compiler does not see that the entry found by a node's op takes nodes of that op.
  return (table[node.op] as (node: Node, ...rest: Rest) => Result)(node, ...rest);
}

/** Names of the values that a node reads, weights excepted, in the order of its op's `inputs`. */
export function operands(node: Node): readonly ValueName[] {
  return named(node, ops[node.op].inputs);
}

/** Names of the weights that a node reads, in the order of its op's `parameters`. */
export function parameters(node: Node): readonly WeightName[] {
  return named(node, ops[node.op].parameters);
}

/** Names of the values whose rows a node appends to the caches of its step; most nodes keep none. */
export function appended(node: Node): readonly ValueName[] {
  return named(node, ops[node.op].state?.inputs ?? []);
}

/** Names of the values that a node defines, in the order of its op's `results`. */
export function results(node: Node): readonly ValueName[] {
  return ops[node.op].results.map((role) => resultName(node.output, role));
}

function named(node: Node, roles: readonly string[]): readonly string[] {
  // Fields of an op's own roles are names.
  return roles.map((role) => (node as unknown as Readonly<Record<string, string>>)[role]!);
}
