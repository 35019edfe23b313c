// The graph is data: named values computed from named inputs and weights by the seven operations of Llama. Every
// activation is a matrix [N, width] of N token rows; N is only known at run time, so a value's shape is its width.
// A head is a slice of a row, which is why nothing here reshapes.

import { PolyllamaError } from "./errors.ts";
import type { AddNode } from "./ops/add.ts";
import type { AttentionNode } from "./ops/attention.ts";
import type { EmbeddingNode } from "./ops/embedding.ts";
import type { LinearNode } from "./ops/linear.ts";
import type { RmsNormNode } from "./ops/rms-norm.ts";
import type { RopeNode } from "./ops/rope.ts";
import type { SwigluNode } from "./ops/swiglu.ts";

/** Name of an input or of a node's output, unique within its graph. */
export type ValueName = string;
/** Name of a weight, as `weights.ts` lists them. */
export type WeightName = string;

/** An operation of a graph, with its operands by name. */
export type Node = EmbeddingNode | RmsNormNode | LinearNode | RopeNode | AttentionNode | SwigluNode | AddNode;
/** The operations that a backend implements. */
export type OpName = Node["op"];

/** `tokens`: integers [N]. `activations`: reals [N, width]. */
export type GraphInput =
  | { readonly name: ValueName; readonly kind: "tokens" }
  | { readonly name: ValueName; readonly kind: "activations"; readonly width: number };

/** A weight that a graph needs. */
export interface WeightSpec {
  readonly name: WeightName;
  /** [D] for norms, [rows, columns] for matrices. */
  readonly shape: readonly number[];
}

/** A model as data: operations on matrices of N token rows. */
export interface Graph {
  readonly inputs: readonly GraphInput[];
  readonly weights: readonly WeightSpec[];
  /** In an order in which they can be evaluated. */
  readonly nodes: readonly Node[];
  /** The values that a run is expected to ask for; any other value may be asked for too. */
  readonly outputs: readonly ValueName[];
  /** Columns of every value; tokens have 1. */
  readonly widths: ReadonlyMap<ValueName, number>;
}

/** A value while a graph is being built. */
export interface Value {
  readonly name: ValueName;
  readonly width: number;
}

/** Builds a graph; every method returns the value it defines. Shapes are checked as they are given. */
export interface GraphBuilder {
  /** An input of token ids, integers [N]. */
  tokens(name: ValueName): Value;
  /** An input of reals [N, width]. */
  activations(name: ValueName, width: number): Value;
  /** A weight of this shape; asked for twice, it is shared. */
  weight(name: WeightName, shape: readonly number[]): WeightSpec;
  /** tokens [N], table [V, D] -> [N, D]: row look-up. */
  embedding(output: ValueName, tokens: Value, table: WeightSpec): Value;
  /** x [N, D], weight [D] -> [N, D]: x / sqrt(mean(x²) + eps) · weight. */
  rmsNorm(output: ValueName, x: Value, weight: WeightSpec, eps: number): Value;
  /** x [N, K], weight [M, K] -> [N, M]: x Wᵀ. */
  linear(output: ValueName, x: Value, weight: WeightSpec): Value;
  /** x [N, H d] -> same: interleaved pairs turn by position · frequency. */
  rope(output: ValueName, x: Value, rotation: Pick<RopeNode, "headDim" | "theta" | "scaling">): Value;
  /** q [N, H d], k and v [N, G d] -> [N, H d]: appends k and v to the cache; causal, with grouped queries. */
  attention(
    output: ValueName,
    q: Value,
    k: Value,
    v: Value,
    heads: Pick<AttentionNode, "heads" | "kvHeads" | "headDim">,
  ): Value;
  /** gate, up [N, F] -> [N, F]: silu(gate) · up. */
  swiglu(output: ValueName, gate: Value, up: Value): Value;
  /** a, b -> same: the residual stream. */
  add(output: ValueName, a: Value, b: Value): Value;
}

/**
 * Builds a graph with the given function, which returns the outputs.
 *
 * @throws {PolyllamaError} `ERR_GRAPH` when shapes do not fit or a name is used twice.
 */
export function buildGraph(define: (g: GraphBuilder) => readonly Value[]): Graph {
  const inputs: GraphInput[] = [];
  const weights = new Map<WeightName, WeightSpec>();
  const nodes: Node[] = [];
  const widths = new Map<ValueName, number>();

  const value = (name: ValueName, width: number): Value => {
    if (widths.has(name)) throw new PolyllamaError("ERR_GRAPH", `The value "${name}" is defined twice.`);
    widths.set(name, width);
    return { name, width };
  };
  const node = (added: Node, width: number): Value => {
    const result = value(added.output, width);
    nodes.push(added);
    return result;
  };
  const need = (holds: boolean, output: ValueName, rule: string): void => {
    if (!holds) throw new PolyllamaError("ERR_GRAPH", `"${output}": ${rule}.`);
  };

  const builder: GraphBuilder = {
    tokens(name) {
      inputs.push({ name, kind: "tokens" });
      return value(name, 1);
    },
    activations(name, width) {
      inputs.push({ name, kind: "activations", width });
      return value(name, width);
    },
    weight(name, shape) {
      const known = weights.get(name);
      if (known !== undefined) {
        need(String(known.shape) === String(shape), name, `is used as [${shape}] and as [${known.shape}]`);
        return known;
      }
      const spec: WeightSpec = { name, shape };
      weights.set(name, spec);
      return spec;
    },
    embedding(output, tokens, table) {
      const [, columns = 0] = table.shape;
      need(table.shape.length === 2, output, `embedding wants a table [V, D], not [${table.shape}]`);
      return node({ op: "embedding", output, tokens: tokens.name, table: table.name }, columns);
    },
    rmsNorm(output, x, weight, eps) {
      need(
        String(weight.shape) === String(x.width),
        output,
        `rmsNorm of width ${x.width} has weight [${weight.shape}]`,
      );
      return node({ op: "rmsNorm", output, x: x.name, weight: weight.name, eps }, x.width);
    },
    linear(output, x, weight) {
      const [rows = 0, columns] = weight.shape;
      need(
        weight.shape.length === 2 && columns === x.width,
        output,
        `linear of width ${x.width} has weight [${weight.shape}]`,
      );
      return node({ op: "linear", output, x: x.name, weight: weight.name }, rows);
    },
    rope(output, x, rotation) {
      const { headDim } = rotation;
      need(headDim % 2 === 0 && x.width % headDim === 0, output, `rope of heads of ${headDim} over width ${x.width}`);
      return node({ op: "rope", output, x: x.name, ...rotation }, x.width);
    },
    attention(output, q, k, v, { heads, kvHeads, headDim }) {
      need(heads % kvHeads === 0, output, `${heads} query heads cannot share ${kvHeads} key/value heads evenly`);
      need(q.width === heads * headDim, output, `attention has q of width ${q.width}, not ${heads} x ${headDim}`);
      for (const [name, { width }] of [
        ["k", k],
        ["v", v],
      ] as const) {
        need(
          width === kvHeads * headDim,
          output,
          `attention has ${name} of width ${width}, not ${kvHeads} x ${headDim}`,
        );
      }
      return node({ op: "attention", output, q: q.name, k: k.name, v: v.name, heads, kvHeads, headDim }, q.width);
    },
    swiglu(output, gate, up) {
      need(gate.width === up.width, output, `swiglu of widths ${gate.width} and ${up.width}`);
      return node({ op: "swiglu", output, gate: gate.name, up: up.name }, gate.width);
    },
    add(output, a, b) {
      need(a.width === b.width, output, `add of widths ${a.width} and ${b.width}`);
      return node({ op: "add", output, a: a.name, b: b.name }, a.width);
    },
  };

  const outputs = define(builder).map(({ name }) => name);
  return { inputs, weights: [...weights.values()], nodes, outputs, widths };
}

/** Names of the values that a node reads, weights excepted. */
export function operands(node: Node): readonly ValueName[] {
  switch (node.op) {
    case "embedding":
      return [node.tokens];
    case "rmsNorm":
    case "linear":
    case "rope":
      return [node.x];
    case "attention":
      return [node.q, node.k, node.v];
    case "swiglu":
      return [node.gate, node.up];
    case "add":
      return [node.a, node.b];
  }
}
