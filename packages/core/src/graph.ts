// The graph is data: named values computed from named inputs and weights by the ops of `ops/`. Every activation is a
// matrix [N, width] of N token rows; N is only known at run time. A head is a slice of a row, which is why nothing here
// reshapes.

import { PolyllamaError } from "./errors.ts";
import type { AnyOp, ByRole, OpBuilder, OpMethod, Value, ValueName, WeightName, WeightSpec } from "./op.ts";
import { resultName } from "./op.ts";
import { type Node, type OpName, type Ops, operands, opNames, ops, parameters, resultRoles } from "./ops/index.ts";
import { activationRows, fixedShape, type TensorType, tokenRows, widthOf } from "./type.ts";

export type { Value, ValueName, WeightName, WeightSpec } from "./op.ts";
export type { Node } from "./ops/index.ts";

/**
 * `tokens`: integers [N]. `activations`: reals [N, width]. `fixed`: reals of a shape of their own, whatever the number
 * of rows, such as gradients of parameters; `width` is its last dimension.
 */
export type GraphInput =
  | { readonly name: ValueName; readonly kind: "tokens" }
  | { readonly name: ValueName; readonly kind: "activations"; readonly width: number }
  | { readonly name: ValueName; readonly kind: "fixed"; readonly shape: readonly number[]; readonly width: number };

/** A model as data: operations on matrices of N token rows. */
export interface Graph {
  readonly inputs: readonly GraphInput[];
  readonly weights: readonly WeightSpec[];
  /** In an order in which they can be evaluated. */
  readonly nodes: readonly Node[];
  /** The values that steps are expected to ask for; any other value may be asked for too. */
  readonly outputs: readonly ValueName[];
  /** Type of every value. */
  readonly types: ReadonlyMap<ValueName, TensorType>;
  /** Elements in a row of every value, after its type; tokens have 1. */
  readonly widths: ReadonlyMap<ValueName, number>;
}

/**
 * Builds a graph; every method returns the value that it defines. An op's method takes the name of its output, then
 * what its record lists: inputs, parameters and attributes. Types are checked as they are given.
 */
export interface GraphBuilder extends OpBuilder, OpMethods {
  /** An input of token ids, integers [N]. */
  tokens(name: ValueName): Value;
  /** An input of reals [N, width]. */
  activations(name: ValueName, width: number): Value;
  /** An input of reals of this shape: [D] or [M, K]. */
  fixed(name: ValueName, shape: readonly number[]): Value;
  /** A weight of this shape; asked for twice, it is shared. */
  weight(name: WeightName, shape: readonly number[]): WeightSpec;
  /**
   * A node of another graph, under its name and with its attributes, applied to what its operands stand for here.
   *
   * @returns its results, in their order.
   */
  copy(node: Node, value: (name: ValueName) => Value, weight: (name: WeightName) => WeightSpec): readonly Value[];
}

type OpMethods = { readonly [O in keyof Ops]: OpMethod<Ops[O]> };

/**
 * Builds a graph with the given function, which returns the outputs.
 *
 * @throws {PolyllamaError} `ERR_GRAPH` when types do not fit or a name is used twice.
 */
export function buildGraph(define: (g: GraphBuilder) => readonly Value[]): Graph {
  const inputs: GraphInput[] = [];
  const weights = new Map<WeightName, WeightSpec>();
  const nodes: Node[] = [];
  const types = new Map<ValueName, TensorType>();

  const value = (name: ValueName, type: TensorType): Value => {
    if (types.has(name)) throw new PolyllamaError("ERR_GRAPH", `The value "${name}" is defined twice.`);
    types.set(name, type);
    return { name, type, width: widthOf(type) };
  };
  const apply: Apply = (op, output, operands, attributes) => {
    const { inputs, parameters }: AnyOp = ops[op];
    const inferred = infer(op, output, operands, attributes);
    const made = resultRoles(op, attributes).map(
      (role) => [role, value(resultName(output, role), inferred[role]!)] as const,
    );
    const names = [...inputs, ...parameters].map((role) => [role, operands[role]!.name] as const);
    // The fields are those that the op's record lists.
    nodes.push({ ...attributes, op, output, ...Object.fromEntries(names) } as Node);
    return Object.fromEntries(made);
  };

  const copy: GraphBuilder["copy"] = (node, value, weight) => {
    const { inputs, parameters: weights }: AnyOp = ops[node.op];
    const values = operands(node).map((name, i) => [inputs[i]!, value(name)]);
    const parts = parameters(node).map((name, i) => [weights[i]!, weight(name)]);
    return Object.values(apply(node.op, node.output, Object.fromEntries([...values, ...parts]), node));
  };

  const builder: GraphBuilder = {
    ...methods(apply),
    copy,
    tokens(name) {
      inputs.push({ name, kind: "tokens" });
      return value(name, tokenRows);
    },
    activations(name, width) {
      inputs.push({ name, kind: "activations", width });
      return value(name, activationRows(width));
    },
    fixed(name, shape) {
      const type = fixedShape(shape);
      inputs.push({ name, kind: "fixed", shape, width: widthOf(type) });
      return value(name, type);
    },
    weight(name, shape) {
      const known = weights.get(name);
      if (known === undefined) weights.set(name, { name, shape });
      else if (String(known.shape) !== String(shape)) {
        throw new PolyllamaError("ERR_GRAPH", `The weight "${name}" is used as [${shape}] and as [${known.shape}].`);
      }
      return known ?? { name, shape };
    },
    apply(op, output, operands, attributes) {
      const name = opNames.find((name) => (ops[name] as unknown) === op);
      if (name === undefined) throw new PolyllamaError("ERR_GRAPH", `"${output}": its op is not in the list of ops.`);
      return apply(name, output, operands, attributes) as never; // the results that the op's record lists
    },
  };

  const outputs = define(builder).map(({ name }) => name);
  const widths = new Map([...types].map(([name, type]) => [name, widthOf(type)]));
  return { inputs, weights: [...weights.values()], nodes, outputs, types, widths };
}

type Operands = Readonly<Record<string, Value | WeightSpec>>;
type Apply = (op: OpName, output: ValueName, operands: Operands, attributes: object) => Readonly<Record<string, Value>>;

/** Types of an op's results. @throws {PolyllamaError} `ERR_GRAPH`, naming the output. */
function infer(
  op: OpName,
  output: ValueName,
  operands: Operands,
  attributes: object,
): ByRole<readonly string[], TensorType> {
  const types = Object.entries(operands).map(([role, operand]) => {
    const type: TensorType = "type" in operand ? operand.type : { dtype: "f32", shape: operand.shape };
    return [role, type] as const;
  });
  const record: AnyOp = ops[op];
  try {
    return record.infer(Object.fromEntries(types), attributes);
  } catch (error) {
    if (!(error instanceof PolyllamaError)) throw error;
    throw new PolyllamaError(error.code, `"${output}": ${error.message}.`, { cause: error });
  }
}

/** The builder's method of each op, whose arguments stand in the order of its record's roles. */
function methods(apply: Apply): OpMethods {
  const method = (op: OpName) => {
    const { inputs, parameters, results }: AnyOp = ops[op];
    const roles = [...inputs, ...parameters];
    return (output: ValueName, ...given: readonly unknown[]) => {
      const operands = Object.fromEntries(roles.map((role, i) => [role, given[i] as Value | WeightSpec]));
      const made = apply(op, output, operands, (given[roles.length] ?? {}) as object);
      return String(results) === "out" ? made["out"] : made;
    };
  };
  // `OpMethod` derives the signatures from the same records.
  return Object.fromEntries(opNames.map((op) => [op, method(op)])) as unknown as OpMethods;
}
