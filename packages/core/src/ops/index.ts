// The list of ops. Whatever has an entry per op, here and in other packages, is a table `PerOp`: one that lacks an op
// does not compile.

import type { AnyOp, OpNode, ValueName, WeightName } from "../op.ts";
import { resultName } from "../op.ts";
import { adamw } from "./adamw.ts";
import { add } from "./add.ts";
import { attention } from "./attention.ts";
import { attentionGrad } from "./attention-grad.ts";
import { embedding } from "./embedding.ts";
import { embeddingGrad } from "./embedding-grad.ts";
import { linear } from "./linear.ts";
import { linearInputGrad } from "./linear-input-grad.ts";
import { linearWeightGrad } from "./linear-weight-grad.ts";
import { logProbability } from "./log-probability.ts";
import { logProbabilityGrad } from "./log-probability-grad.ts";
import { rmsNorm } from "./rms-norm.ts";
import { rmsNormGrad } from "./rms-norm-grad.ts";
import { rope } from "./rope.ts";
import { scale } from "./scale.ts";
import { sumOfSquares } from "./sum-of-squares.ts";
import { swiglu } from "./swiglu.ts";
import { swigluGrad } from "./swiglu-grad.ts";

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
  /** x [N, D], targets [N], weight [V, D] -> [N, 1]: log softmax(x Wᵀ / temperature) of the targets. */
  readonly logProbability: typeof logProbability;
  /** x [N, D], targets [N], logSumExp and cotangent [N, 1], weight [V, D] -> x [N, D], weight [V, D]. */
  readonly logProbabilityGrad: typeof logProbabilityGrad;
  /** tokens [N], cotangent [N, D] -> [V, D]: rows added where their tokens look up. */
  readonly embeddingGrad: typeof embeddingGrad;
  /** x, cotangent [N, D], weight [D] -> x [N, D], weight [D]. */
  readonly rmsNormGrad: typeof rmsNormGrad;
  /** cotangent [N, M], weight [M, K] -> [N, K]: cotangent W. */
  readonly linearInputGrad: typeof linearInputGrad;
  /** x [N, K], cotangent [N, M] -> [M, K]: cotangentᵀ x. */
  readonly linearWeightGrad: typeof linearWeightGrad;
  /** q, out, cotangent [N, H d], k and v [N, G d], logSumExp [N, H] -> q, k, v: without caches. */
  readonly attentionGrad: typeof attentionGrad;
  /** gate, up, cotangent [N, F] -> gate, up [N, F]. */
  readonly swigluGrad: typeof swigluGrad;
  /** x of any shape -> same: factor · x, of low-rank adapters. */
  readonly scale: typeof scale;
  /** x of any shape -> [1]. */
  readonly sumOfSquares: typeof sumOfSquares;
  /** gradient, squares [1], settings [3]; weight, firstMoment, secondMoment -> their new values. */
  readonly adamw: typeof adamw;
}

/** Every op by name. */
export const ops: Ops = {
  embedding,
  rmsNorm,
  linear,
  rope,
  attention,
  swiglu,
  add,
  logProbability,
  logProbabilityGrad,
  embeddingGrad,
  rmsNormGrad,
  linearInputGrad,
  linearWeightGrad,
  attentionGrad,
  swigluGrad,
  scale,
  sumOfSquares,
  adamw,
} satisfies Record<string, AnyOp>;

/** The operations that a backend implements. */
export type OpName = keyof Ops;
/** The names of {@link ops}, in the order of the list. */
export const opNames: readonly OpName[] = Object.keys(ops) as OpName[]; // the record's own keys

/** Ops of training, which backends for inference alone do without. */
export const trainingOps = [
  "logProbability",
  "logProbabilityGrad",
  "embeddingGrad",
  "rmsNormGrad",
  "linearInputGrad",
  "linearWeightGrad",
  "attentionGrad",
  "swigluGrad",
  "scale",
  "sumOfSquares",
  "adamw",
] as const;
/** The name of an op of training. */
export type TrainingOp = (typeof trainingOps)[number];

/** Whether a node trains: its op is one of training, or it gives or does what gradients alone ask for. */
export function isTraining(node: Node): boolean {
  const [turnsBack, hasExtras] = [
    node.op === "rope" && node.backwards === true,
    results(node).length > ops[node.op].results.length,
  ];
  return turnsBack || hasExtras || trainingOps.some((op) => op === node.op);
}

/** The same for every op of training: part of a table for who has none of them. */
export function forTraining<Entry>(entry: Entry): { readonly [O in TrainingOp]: Entry } {
  return Object.fromEntries(trainingOps.map((op) => [op, entry])) as { readonly [O in TrainingOp]: Entry }; // of all
}

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

/** Names of the values that a node defines, in the order of its op's `results`, then of its extras. */
export function results(node: Node): readonly ValueName[] {
  return resultRoles(node.op, node).map((role) => resultName(node.output, role));
}

/** Roles of the results that an op has with these attributes: extras only where they say so. */
export function resultRoles(op: OpName, attributes: object): readonly string[] {
  const { results, extras = [] }: AnyOp = ops[op];
  const given = attributes as Readonly<Record<string, unknown>>; // whatever they are
  return [...results, ...extras.filter((role) => given[role] === true)];
}

function named(node: Node, roles: readonly string[]): readonly string[] {
  // Fields of an op's own roles are names.
  return roles.map((role) => (node as unknown as Readonly<Record<string, string>>)[role]!);
}
