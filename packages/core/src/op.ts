// What an operation is: a record of its operands, its result types and its gradient. The types of nodes and of the
// graph builder's methods are derived from the records in `ops/`, and every table that has an entry per op from their
// list, `ops/index.ts`.

import { PolyllamaError } from "./errors.ts";
import type { TensorType } from "./type.ts";

/** Name of an input or of a node's result, unique within its graph. */
export type ValueName = string;
/** Name of a weight, as `weights.ts` lists them. */
export type WeightName = string;

/** A weight that a graph needs. */
export interface WeightSpec {
  readonly name: WeightName;
  /** [D] for norms, [rows, columns] for matrices. */
  readonly shape: readonly number[];
}

/** A value while a graph is being built. */
export interface Value {
  readonly name: ValueName;
  readonly type: TensorType;
  /** Elements in a row; tokens have 1. */
  readonly width: number;
}

/** Roles of operands or results, in order: `["q", "k", "v"]`. */
export type Roles = readonly string[];
/** Something for each role. */
export type ByRole<R extends Roles, T> = { readonly [Role in R[number]]: T };
/** Attributes of an op that has none. */
export type NoAttributes = Readonly<Record<never, never>>;

/** An operation: its attributes, and the roles of its inputs, parameters and results. */
export interface OpDef<
  Attrs extends object,
  In extends Roles,
  Par extends Roles = [],
  Out extends Roles = ["out"],
  Extra extends Roles = [],
> {
  /** Values that it reads. */
  readonly inputs: Readonly<In>;
  /** Weights that it reads. */
  readonly parameters: Readonly<Par>;
  readonly results: Readonly<Out>;
  /** Results that a node has only where its attribute of the same name is `true`: what its gradient wants to know. */
  readonly extras?: Readonly<Extra>;
  /** What it changes beside its results: rows of these inputs are appended to the caches of the step's sequences. */
  readonly state?: { readonly cache: "append"; readonly inputs: readonly In[number][] };
  /**
   * Types of the results, extra ones included.
   *
   * @throws {PolyllamaError} `ERR_GRAPH` when operands do not fit together.
   */
  infer(
    types: ByRole<In, TensorType> & ByRole<Par, TensorType>,
    attributes: Attrs,
  ): ByRole<Out, TensorType> & ByRole<Extra, TensorType>;
  /**
   * The gradient as more of the graph: cotangents of the operands, given those of the results. What has no cotangent is
   * left out. Absent where an op has no gradient.
   */
  vjp?(
    g: OpBuilder,
    node: AppliedOp<Attrs, In, Par, Out, Extra>,
    cotangents: Partial<ByRole<Out, Value>>,
  ): Partial<ByRole<In, Value> & ByRole<Par, Value>>;
}

/** Any op, where only its roles matter. */
export interface AnyOp extends Omit<OpDef<object, Roles, Roles, Roles, Roles>, "vjp"> {
  /** The gradient, see {@link OpDef.vjp}. */
  vjp?(
    g: OpBuilder,
    node: { readonly output: ValueName; readonly results: ByRole<Roles, Value> },
    cotangents: Partial<ByRole<Roles, Value>>,
  ): Partial<ByRole<Roles, Value>>;
}

/** What gradients are written with. */
export interface OpBuilder {
  /**
   * Applies an op of the list, given by its record.
   *
   * @param output Name of the result `out`; others are named after it, see {@link resultName}.
   * @throws {PolyllamaError} `ERR_GRAPH` when types do not fit, a name is used twice or the record is not in the list.
   */
  apply<Attrs extends object, In extends Roles, Par extends Roles, Out extends Roles, Extra extends Roles>(
    op: OpDef<Attrs, In, Par, Out, Extra>,
    output: ValueName,
    operands: ByRole<In, Value> & ByRole<Par, WeightSpec>,
    attributes: Attrs,
  ): ByRole<Out, Value> & Partial<ByRole<Extra, Value>>;
}

/** An op with the operands that it was applied to and what it made of them. */
export type AppliedOp<
  Attrs extends object,
  In extends Roles,
  Par extends Roles,
  Out extends Roles,
  Extra extends Roles = [],
> = Attrs &
  ByRole<In, Value> &
  ByRole<Par, WeightSpec> & {
    readonly output: ValueName;
    readonly results: ByRole<Out, Value> & Partial<ByRole<Extra, Value>>;
  };

/** A node of the graph: an op applied, with its operands by role and its attributes as fields. */
export type OpNode<Name extends string, Op> =
  Op extends OpDef<infer Attrs, infer In, infer Par, Roles, Roles>
    ? Flat<
        { readonly op: Name; readonly output: ValueName } & ByRole<In, ValueName> &
          ByRole<Par, WeightName> &
          Readonly<Attrs>
      >
    : never;

/** The builder's method for an op: its inputs, parameters and attributes in order. */
export type OpMethod<Op> =
  Op extends OpDef<infer Attrs, infer In, infer Par, infer Out, Roles>
    ? (
        output: ValueName,
        ...operands: [...Each<In, Value>, ...Each<Par, WeightSpec>, ...(keyof Attrs extends never ? [] : [Attrs])]
      ) => Out extends readonly ["out"] ? Value : ByRole<Out, Value>
    : never;

/** Roles of all results that an op may have. */
export type ResultRoles<Op> =
  Op extends OpDef<infer _Attrs, infer _In, infer _Par, infer Out, infer Extra> ? [...Out, ...Extra] : never;

type Each<R extends Roles, T> = { [I in keyof R]: T };
type Flat<T> = { readonly [K in keyof T]: T[K] };

/** Name of a node's result: its `output` for `out`, which most ops have alone; others are named after both. */
export function resultName(output: ValueName, role: string): ValueName {
  return role === "out" ? output : `${output}.${role}`;
}

/** For `infer`. @throws {PolyllamaError} `ERR_GRAPH` with the rule that does not hold. */
export function need(holds: boolean, rule: string): asserts holds {
  if (!holds) throw new PolyllamaError("ERR_GRAPH", rule);
}
