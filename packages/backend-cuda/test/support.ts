// The emulation for tests: built once, or the reason why it is not there.

import { type Backend, type Graph, PolyllamaError, type Program } from "@polyllama/core";
import { describe } from "vitest";
import { buildEmulation, type Emulation, emulationMissing } from "../emulation/build.ts";
import { type CudaOptions, cuda } from "../src/index.ts";

const missing = emulationMissing();

/** `describe` for suites on the emulated card; the emulation is built before. */
export async function describeWithEmulation(name: string, define: (emulation: Emulation) => void): Promise<void> {
  if (missing !== undefined) describe.skip(`${name} (not run: ${missing})`, () => undefined);
  else {
    const emulation = await buildEmulation();
    describe(name, () => define(emulation));
  }
}

/** The options that lead to the emulated card. */
export function emulated({ library, images }: Emulation): CudaOptions {
  return { library, images };
}

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
