// From a graph that gives logits to one that gives the log-probabilities of given tokens, which is what losses are
// functions of.

import { PolyllamaError } from "../errors.ts";
import { buildGraph, type Graph } from "../graph.ts";
import type { ValueName } from "../op.ts";
import { operands } from "../ops/index.ts";
import { copyGraph, weightsOf } from "./copy-graph.ts";

/** Options of {@link withLogProbabilities}. */
export interface LogProbabilityOptions {
  /** The logits [N, V], result of a `linear`; default: the graph's only output. */
  readonly logits?: ValueName;
  /** What logits are divided by first; default 1. */
  readonly temperature?: number;
}

/**
 * The graph with `logProbability` [N, 1] as its output in place of the logits, which are not computed any more: of the
 * tokens in its additional input `targets` [N], where -1 leaves a row out.
 *
 * @throws {PolyllamaError} `ERR_GRAPH` where the logits are no result of a `linear`, or something else reads them.
 */
export function withLogProbabilities(graph: Graph, options: LogProbabilityOptions = {}): Graph {
  const { logits = graph.outputs[0], temperature = 1 } = options;
  const projection = graph.nodes.find(({ output }) => output === logits);
  if (projection?.op !== "linear") {
    throw new PolyllamaError("ERR_GRAPH", `"${logits}" is no result of a linear, so that it cannot be fused with one.`);
  }
  const reader = graph.nodes.find((node) => operands(node).includes(projection.output));
  if (reader !== undefined) {
    throw new PolyllamaError("ERR_GRAPH", `"${reader.output}" reads the logits "${logits}", so that they are needed.`);
  }
  return buildGraph((g) => {
    const weight = weightsOf(g, graph);
    for (const { name } of graph.weights) weight(name); // in their order
    const values = copyGraph(g, graph, (node, value) => {
      if (node !== projection) return g.copy(node, value, weight);
      const [x, targets] = [value(projection.x), g.tokens("targets")];
      return [g.logProbability("logProbability", x, targets, weight(projection.weight), { temperature })];
    });
    return [values.get("logProbability")!]; // which the projection became
  });
}
