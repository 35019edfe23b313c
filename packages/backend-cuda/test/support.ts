// What several test files share.

import { type Backend, type Graph, PolyllamaError, type Program } from "@polyllama/core";
import { describeWithEmulation, emulated } from "@polyllama/test-support/emulation";
import type { Emulation } from "../emulation/build.ts";
import { cuda } from "../src/index.ts";

export { describeWithEmulation, emulated };

export async function withProgram<T>(
  emulation: Emulation,
  graph: Graph,
  source: Parameters<Backend["compile"]>[1],
  use: (program: Program) => Promise<T>,
): Promise<T> {
  await using backend = cuda(emulated(emulation));
  await using program = await backend.compile(graph, source);
  return await use(program);
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
