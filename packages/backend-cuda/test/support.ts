// What several test files share.

import { type Graph, PolyllamaError, type WeightSource } from "@polyllama/core";
import { type LoadedGraph, loadGraph } from "@polyllama/core/device";
import { describeWithEmulation, emulated } from "@polyllama/test-support/emulation";
import type { Emulation } from "../emulation/build.ts";
import { cuda } from "../src/index.ts";

export { describeWithEmulation, emulated };

export async function withGraph<T>(
  emulation: Emulation,
  graph: Graph,
  source: WeightSource,
  use: (loaded: LoadedGraph) => Promise<T>,
): Promise<T> {
  await using device = cuda(emulated(emulation));
  await using loaded = await loadGraph(device, graph, source);
  return await use(loaded);
}

/** The error that an action throws. */
export async function errorOf(action: () => unknown): Promise<PolyllamaError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof PolyllamaError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
