// Low-rank adapters that are switched at run time, row by row (Hu et al., "LoRA", arXiv 2106.09685; many adapters in
// one batch: Sheng et al., "S-LoRA", arXiv 2311.03285). The A and B of all adapters that are loaded stand in one stack
// each: A [R, K] has the ranks of every adapter one below another, B [M, R] side by side, and a row of a step takes
// part in the columns of its own adapter alone. So the base weights are read once for rows of any adapters, and no
// adapter's matrices are read in a step of their own.
//
// The switch needs no op of its own: silu(32) is 32 in f32, as 1 + exp(-32) rounds to 1, and silu(0) is 0. A swiglu
// whose gate is an input with 32 in the columns of a row's adapter and 0 elsewhere multiplies those by 32 and the
// others by 0; the stack of B is divided by 32, which is exact.

import { buildGraph, type Graph } from "../graph.ts";
import type { Value, ValueName, WeightName } from "../op.ts";
import { operands } from "../ops/index.ts";
import { copyGraph, weightsOf } from "./copy-graph.ts";

/** The input [N, R] that says in which columns of the stacks a row takes part: {@link openGate} there, 0 elsewhere. */
export const adapterGates: ValueName = "adapters.gates";

/** What an open gate multiplies by; matrices B are divided by it. */
export const openGate = 32;

/** The names of the stacks of a matrix's A [R, K] and B [M, R]. */
export function adapterStacks(name: WeightName): readonly [a: WeightName, b: WeightName] {
  return [`${name}.adapters_a`, `${name}.adapters_b`];
}

/**
 * The graph whose linears of the given matrices W [M, K] are, in row n, x Wᵀ + ((x Aᵀ) gates) Bᵀ, under the same
 * names, with A and B the stacks of `columns` columns; undefined where it has no such linear.
 */
export function withAdapterStacks(graph: Graph, targets: ReadonlySet<WeightName>, columns: number): Graph | undefined {
  if (!graph.nodes.some((node) => node.op === "linear" && targets.has(node.weight))) return undefined;
  return buildGraph((g) => {
    const weight = weightsOf(g, graph);
    for (const { name } of graph.weights) weight(name); // in their order
    let gates: Value | undefined;
    const values = copyGraph(g, graph, (node, value) => {
      if (node.op !== "linear" || !targets.has(node.weight)) return g.copy(node, value, weight);
      const { output, x, weight: name } = node;
      const { shape } = weight(name);
      const [rows = 0, width = 0] = shape; // [M, K], as a linear's are
      const [a, b] = adapterStacks(name);
      gates ??= g.activations(adapterGates, columns); // [N, R]
      const base = g.linear(`${output}.base`, value(x), weight(name)); // [N, M]
      const narrow = g.linear(`${output}.adapters_a`, value(x), g.weight(a, [columns, width])); // [N, R]
      const own = g.swiglu(`${output}.adapters_own`, gates, narrow); // [N, R]
      const addition = g.linear(`${output}.adapters_b`, own, g.weight(b, [rows, columns])); // [N, M]
      return [g.add(output, base, addition)]; // [N, M]
    });
    return graph.outputs.map((name) => values.get(name)!); // which are values of the graph
  });
}

/** Of a graph that {@link withAdapterStacks} made: the linears of the stacks alone, what they read being inputs. */
export function adapterStackGraph(graph: Graph, targets: ReadonlySet<WeightName>): Graph {
  const stacks = new Set([...targets].flatMap(adapterStacks));
  return buildGraph((g) => {
    const weight = weightsOf(g, graph);
    const inputs = new Map<ValueName, Value>();
    return graph.nodes.flatMap((node) => {
      if (node.op !== "linear" || !stacks.has(node.weight)) return [];
      for (const name of operands(node)) {
        if (!inputs.has(name)) inputs.set(name, g.activations(name, graph.widths.get(name)!)); // values have widths
      }
      return g.copy(node, (name) => inputs.get(name)!, weight); // as just declared
    });
  });
}
