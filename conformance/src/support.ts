// What a device can do of a case: it is asked operation by operation, and for what the case wants beside. A refusal
// later, while the graph is loaded or run, is a failure.

import { type CacheFormat, type Graph, PolyllamaError, type WeightSource } from "@polyllama/core";
import { cacheSpec, type Device, type LoadedGraph, loadGraph, type Wanted } from "@polyllama/core/device";

/** What a case asks of a device before it runs anything. */
export interface Needs {
  readonly graph: Graph;
  readonly weights: WeightSource;
  /** Values that runs ask for; default: the graph's outputs. */
  readonly wanted?: readonly Wanted[];
  /** Format of caches that are to round. */
  readonly cache?: CacheFormat | undefined;
  /** Tokens chosen on the device. */
  readonly sampling?: boolean;
}

/** The case can be run, on this graph; the caller disposes it. */
export interface Supported {
  readonly status: "supported";
  readonly loaded: LoadedGraph;
}

/** It cannot. `absent`: the device has no such path, which nobody needs. */
export interface Unsupported {
  readonly status: "unsupported" | "absent";
  readonly reason: string;
}

/** Asks a device for what a case needs, and loads it. @throws what is no answer, but a failure */
export async function support(device: Device, needs: Needs): Promise<Supported | Unsupported> {
  const missing = refusal(device, needs);
  if (missing !== undefined) return missing;
  const { graph, weights, wanted } = needs;
  return { status: "supported", loaded: await loadGraph(device, graph, weights, wanted && { wanted }) };
}

function refusal(device: Device, { graph, weights, cache, sampling = false }: Needs): Unsupported | undefined {
  for (const { name } of graph.weights) {
    const format = weights.weights.get(name)?.format;
    if (format === undefined || device.formats.has(format)) continue;
    return { status: "unsupported", reason: `${device.name} does not have the format ${format} of "${name}"` };
  }
  for (const node of graph.nodes) {
    const answer = device.supports(node, weights.weights);
    if (answer !== true) return { status: "unsupported", reason: answer.message };
  }
  if (sampling && !device.features.outputs.includes("token")) {
    return { status: "absent", reason: "tokens are chosen on the host alone" };
  }
  return cache === undefined ? undefined : cacheRefusal(device, graph, cache);
}

/** Only a pool says in which formats a device keeps keys and values. */
function cacheRefusal(device: Device, graph: Graph, format: CacheFormat): Unsupported | undefined {
  try {
    device.cachePool(cacheSpec(graph), { rows: 1, format })[Symbol.dispose]();
    return undefined;
  } catch (error) {
    if (!(error instanceof PolyllamaError && error.code === "ERR_UNSUPPORTED")) throw error;
    return { status: "unsupported", reason: error.message };
  }
}

/** What cases under `loweredLimits` find where there is no such device. */
export const notLowered: Unsupported = {
  status: "absent",
  reason: "nothing is split by limits that could be lowered",
};
