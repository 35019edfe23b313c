// What a plan is: steps over buffers, as readonly data. An emitter turns each step into launches of its kernels without
// knowing the graph: everything a kernel needs to know is in the step. A step computes the rows of its set: all rows of
// what runs, or those that the run's selection lists.

import type { NodeOf, OpName, Ops, TrainingOp, ValueName, WeightName } from "@polyllama/core";
import type { RowSet } from "./needs.ts";
import type { PlacedRotation } from "./rotations.ts";
import type { WeightGroup, WeightPlace } from "./weight-groups.ts";

/** Memory for one activation, a row of words of 32 bits for each row of its set. */
export interface PlanBuffer {
  /** Its place in `Plan.buffers`. */
  readonly id: number;
  readonly rows: RowSet;
  /** Words from row to row. */
  readonly stride: number;
}

/** Where a value is: `width` words from `offset` on, in each row of a buffer. */
export interface Place {
  readonly buffer: PlanBuffer;
  readonly offset: number;
  readonly width: number;
}

/** The weight of a norm, and what is added to the mean of squares. */
export interface Norm {
  readonly weight: WeightName;
  readonly eps: number;
}

/** An attention of the graph, whether or not the plan computes it. */
export interface PlanAttention {
  /** Number among the graph's attentions, by which caches have their keys and values. */
  readonly index: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

interface Step<Kind extends string> {
  readonly kind: Kind;
  /** What it computes, for people: operation, value, format and shapes. */
  readonly label: string;
  readonly rows: RowSet;
}

/** y = table[tokens] */
export interface EmbeddingStep extends Step<"embedding"> {
  readonly table: WeightPlace;
  readonly y: Place;
}

/** y = the selected rows of x */
export interface GatherStep extends Step<"gather"> {
  readonly x: Place;
  readonly y: Place;
}

/** y = norm(x) */
export interface NormStep extends Step<"norm"> {
  readonly x: Place;
  readonly norm: Norm;
  readonly y: Place;
}

/** y = x, norm(x) or silu(x) up, in the form that linears want. */
export interface ConvertStep extends Step<"convert"> {
  readonly x: Place;
  readonly norm: Norm | undefined;
  readonly up: Place | undefined;
  /** `width` counts values, the buffer's stride words. */
  readonly y: Place;
}

/** y = norm(x) W^T + residual, or silu(x Wg^T) (x Wu^T) */
export interface LinearStep extends Step<"linear"> {
  readonly group: WeightGroup;
  /** Rows of the group that are multiplied: all of them, or those of one member. */
  readonly firstRow: number;
  readonly matrixRows: number;
  readonly x: Place;
  /** Whether x is in the form that a `convert` step gives. */
  readonly converted: boolean;
  readonly norm: Norm | undefined;
  readonly residual: Place | undefined;
  /**
   * Where gate and up begin among the group's rows, or columns where they alternate; y is then as wide as one of them.
   */
  readonly gated: { readonly gateRow: number; readonly upRow: number } | undefined;
  readonly y: Place;
}

/** y = x, rotated */
export interface RopeStep extends Step<"rope"> {
  readonly rotation: PlacedRotation;
  readonly x: Place;
  readonly y: Place;
}

/**
 * Appends keys and values to the cache of each row's sequence; rotates keys, and queries beside them, where there is a
 * rotation.
 */
export interface CacheStep extends Step<"cache"> {
  readonly attention: PlanAttention;
  readonly k: Place;
  readonly kRotation: PlacedRotation | undefined;
  readonly v: Place;
  readonly q: { readonly x: Place; readonly rotation: PlacedRotation; readonly y: Place } | undefined;
}

/** y = attention of q over the cache of each row's sequence, whose rows have been appended. */
export interface AttentionStep extends Step<"attention"> {
  readonly attention: PlanAttention;
  readonly q: Place;
  readonly y: Place;
}

/** y = a + b; `normed` = norm(y) beside it. */
export interface AddStep extends Step<"add"> {
  readonly a: Place;
  readonly b: Place;
  readonly y: Place;
  readonly normed: { readonly norm: Norm; readonly y: Place } | undefined;
}

/** Ops that always are a step of their own, as the graph has them. Those of training are in no plan yet. */
export type PlainOp = Exclude<OpName, TrainingOp | "embedding" | "rmsNorm" | "linear" | "rope" | "attention" | "add">;

/** An op alone: its inputs as places, its parameters and attributes as the node has them, and its result `y`. */
export type PlainStep<Op extends PlainOp = PlainOp> = { [O in Op]: Step<O> & PlainFields<O> }[Op];

type PlainFields<Op extends PlainOp> = {
  readonly [Field in Exclude<keyof NodeOf<Op>, "op" | "output">]: Field extends Ops[Op]["inputs"][number]
    ? Place
    : NodeOf<Op>[Field];
} & { readonly y: Place };

/** y = silu(gate) up */
export type SwigluStep = PlainStep<"swiglu">;

/** A step of a plan: about one kernel call. */
export type PlanStep =
  | EmbeddingStep
  | GatherStep
  | NormStep
  | ConvertStep
  | LinearStep
  | RopeStep
  | CacheStep
  | AttentionStep
  | AddStep
  | PlainStep;

/** Names of the kinds of steps. */
export type StepKind = PlanStep["kind"];
/** The steps of a kind. */
export type StepOf<Kind extends StepKind> = Extract<PlanStep, { readonly kind: Kind }>;

/** What is done with a step, by its kind: a kind that a table forgets does not compile. */
export type PerStep<Arguments extends readonly unknown[], Result> = {
  readonly [Kind in StepKind]: (step: StepOf<Kind>, ...rest: Arguments) => Result;
};

/** Kinds of steps that are not simply an op. */
const others: Readonly<Record<Exclude<StepKind, PlainOp>, true>> = {
  embedding: true,
  gather: true,
  norm: true,
  convert: true,
  linear: true,
  rope: true,
  cache: true,
  attention: true,
  add: true,
};

export function isPlain(step: PlanStep): step is PlainStep {
  return !(step.kind in others);
}

/** A table for the kinds that are not simply an op. */
export type PerOtherStep<Result> = {
  readonly [Kind in keyof typeof others]: (step: StepOf<Kind>) => Result;
};

/** The table's result for a step that is not simply an op. */
export function forOtherStep<Result>(table: PerOtherStep<Result>, step: Exclude<PlanStep, PlainStep>): Result {
  const entry = table[step.kind] as (step: PlanStep) => Result; // the entry of the step's own kind
  return entry(step);
}

/** The table's result for a step. */
export function forStep<Arguments extends readonly unknown[], Result>(
  table: PerStep<Arguments, Result>,
  step: PlanStep,
  ...rest: Arguments
): Result {
  const entry = table[step.kind] as (step: PlanStep, ...rest: Arguments) => Result; // the entry of the step's own kind
  return entry(step, ...rest);
}

/** First and last step that uses a buffer; the last is infinite where it must be there after the plan has run. */
export interface Lifetime {
  readonly first: number;
  readonly last: number;
}

/** What computes a set of values. */
export interface Plan {
  readonly steps: readonly PlanStep[];
  readonly buffers: readonly PlanBuffer[];
  /** By buffer. */
  readonly lifetimes: readonly Lifetime[];
  /** Activations that must be there before it runs, and where. */
  readonly inputs: ReadonlyMap<ValueName, Place>;
  /** The tokens that it looks up. */
  readonly tokens: ValueName | undefined;
  readonly outputs: ReadonlyMap<ValueName, Place>;
  /** Distinct rotations, whose table must be there. */
  readonly rotations: readonly PlacedRotation[];
  /** Pairs (cos, sin) in a row of that table. */
  readonly rotationStride: number;
  /** All attentions of the graph. */
  readonly attentions: readonly PlanAttention[];
}
