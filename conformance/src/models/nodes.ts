// Every operation of a small model, given what the backend itself computed up to there.

import type { Backend, Graph, WeightSource } from "@polyllama/core";
import type { Finding } from "../comparison/measure.ts";
import { compareNodes } from "../comparison/nodes.ts";
import type { Random } from "../random.ts";
import { support, type Unsupported } from "../support.ts";
import { drawModel, type ModelCheck } from "./small.ts";

export const checkNodes: ModelCheck = (backend, model, stream) => {
  const { graph, weights, tokens } = drawModel(model, stream);
  return verifyNodes(backend, graph, weights, { tokens }, stream);
};

/** Asks a backend for every value of a graph, and holds each to the bound of its operation. */
export async function verifyNodes(
  backend: Backend,
  graph: Graph,
  weights: WeightSource,
  inputs: Readonly<Record<string, Int32Array | Float32Array>>,
  stream: Random,
): Promise<Finding | Unsupported> {
  const wanted = graph.nodes.map(({ output }) => output);
  const supported = await support(backend, { graph, weights, wanted });
  if (supported.status !== "supported") return supported;
  await using program = supported.program;
  const tensors = await program.run({ inputs }, wanted);
  return compareNodes(graph, weights, inputs, tensors, backend.roundings, stream);
}
