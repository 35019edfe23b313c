// The sharp comparison of a graph: every operation alone, given the inputs that the backend itself computed for it,
// against its derived bound. It needs no estimate, holds at any size, and names the first operation that is wrong. Of a
// large linear some columns are computed, of a table of embeddings the rows that are asked for.

import { type Rounding, reference, runWithBounds } from "@polyllama/backend-reference";
import {
  buildGraph,
  type Graph,
  type Node,
  operands,
  parameters,
  type Tensor,
  type Value,
  type ValueName,
  type WeightInfo,
  type WeightSource,
} from "@polyllama/core";
import { type HostArray, loadGraph } from "@polyllama/core/device";
import type { Random } from "../random.ts";
import { memoryWeights, readWeightRows } from "../weights.ts";
import { sampledColumns } from "./constants.ts";
import { at, both, exact, type Finding, measure, withoutWidth } from "./measure.ts";

/** Linears of more columns are sampled. */
const mostWhole = 1024;
/** Columns at edges: of blocks, of tiles, of Llama 2's own vocabulary in a longer one. */
const edges = [0, 1, 31, 32, 63, 64, 31_999, 32_000];

/** Values of a graph by name. */
type Values = ReadonlyMap<ValueName, HostArray>;

/** An operation alone, on the reference. */
interface Single {
  readonly graph: Graph;
  readonly weights: WeightSource;
  readonly inputs: Readonly<Record<ValueName, HostArray>>;
  /** Where its columns stand in the whole output; all of them where undefined. */
  readonly columns?: readonly number[];
}

/**
 * Holds all values of a graph, as a backend computed them from `inputs`, to the bounds of their operations.
 *
 * @param tensors In the order of the graph's nodes.
 */
export async function compareNodes(
  graph: Graph,
  source: WeightSource,
  inputs: Readonly<Record<ValueName, HostArray>>,
  tensors: readonly Tensor[],
  rounding: Rounding,
  stream: Random,
): Promise<Finding> {
  const values = new Map<ValueName, HostArray>(Object.entries(inputs));
  graph.nodes.forEach(({ output }, i) => {
    values.set(output, tensors[i]!.data); // one for each
  });
  await using judge = reference();
  let finding = exact;
  for (const [i, node] of graph.nodes.entries()) {
    const single = await isolate(graph, node, source, values, stream);
    await using loaded = await loadGraph(judge, single.graph, single.weights);
    const [expected] = await runWithBounds(loaded, { inputs: single.inputs }, [node.output], rounding);
    const { value, bound } = expected!; // one value was asked for
    const found = measure(tensors[i]!, value, (_, index) => bound.data[index]!, single);
    finding = both(finding, at(`${node.output} (${node.op})`, withoutWidth(found)));
    if (finding.problem !== undefined) return finding;
  }
  return finding;
}

async function isolate(
  graph: Graph,
  node: Node,
  source: WeightSource,
  values: Values,
  stream: Random,
): Promise<Single> {
  const inputs = Object.fromEntries(operands(node).map((name) => [name, values.get(name)!])); // computed before
  const [name] = parameters(node);
  if (name === undefined) return { graph: alone(graph, node), weights: source, inputs };
  const info = source.weights.get(name)!; // compiled before
  const take = async (rows: readonly number[]): Promise<Omit<Single, "inputs">> => {
    const weight = await readWeightRows(source, info, rows);
    return { graph: alone(graph, node, weight), weights: memoryWeights([weight]) };
  };
  if (node.op === "embedding") {
    const tokens = [...(values.get(node.tokens) as Int32Array)]; // an input of tokens, as the graph says
    const counted = { [node.tokens]: Int32Array.from(tokens, (_, n) => n) };
    return { ...(await take(tokens)), inputs: counted };
  }
  const [rows = 0] = info.shape;
  if (node.op !== "linear" || rows <= mostWhole) return { graph: alone(graph, node, info), weights: source, inputs };
  const columns = sample(rows, stream);
  return { ...(await take(columns)), inputs, columns };
}

/** A graph of one operation, whose operands are inputs. */
function alone(graph: Graph, node: Node, weight?: WeightInfo): Graph {
  return buildGraph((g) => {
    const input = (name: ValueName): Value =>
      graph.inputs.some((given) => given.name === name && given.kind === "tokens")
        ? g.tokens(name)
        : g.activations(name, graph.widths.get(name)!); // a value of this graph
    return g.copy(node, input, (name) => g.weight(name, weight!.shape)); // given where the operation has one
  });
}

/** Columns that are computed: the edges, both ends, and random ones. */
function sample(width: number, stream: Random): readonly number[] {
  const picked = new Set([...edges.filter((column) => column < width), width - 2, width - 1]);
  while (picked.size < sampledColumns) picked.add(stream.integer(width));
  return [...picked];
}
