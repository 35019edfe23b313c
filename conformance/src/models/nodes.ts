// Every operation of a small model, given what the device itself computed up to there.

import type { Graph, WeightSource } from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import type { Finding } from "../comparison/measure.ts";
import { compareNodes } from "../comparison/nodes.ts";
import type { Random } from "../random.ts";
import { support, type Unsupported } from "../support.ts";
import { drawModel, type ModelCheck } from "./small.ts";

export const checkNodes: ModelCheck = (device, model, stream) => {
  const { graph, weights, tokens } = drawModel(model, stream);
  return verifyNodes(device, graph, weights, { tokens }, stream);
};

/** Asks a device for every value of a graph, and holds each to the bound of its operation. */
export async function verifyNodes(
  device: Device,
  graph: Graph,
  weights: WeightSource,
  inputs: Readonly<Record<string, Int32Array | Float32Array>>,
  stream: Random,
): Promise<Finding | Unsupported> {
  const wanted = graph.nodes.map(({ output }) => output);
  const supported = await support(device, { graph, weights, wanted });
  if (supported.status !== "supported") return supported;
  await using loaded = supported.loaded;
  const tensors = await loaded.run({ inputs }, wanted);
  return compareNodes(graph, weights, inputs, tensors, device.roundings, stream);
}
