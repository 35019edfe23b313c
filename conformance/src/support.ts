// What a backend can do of a case. This is the one place that knows how a backend says that it cannot: today by
// refusing to compile the graph or to make the cache. A refusal later, in a run, is a failure.

import {
  type Backend,
  type CacheFormat,
  type Graph,
  PolyllamaError,
  type Program,
  type Wanted,
  type WeightSource,
} from "@polyllama/core";

/** What a case asks of a backend before it runs anything. */
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

/** The case can be run, on this program; the caller disposes it. */
export interface Supported {
  readonly status: "supported";
  readonly program: Program;
}

/** It cannot. `absent`: the backend has no such path, which nobody needs. */
export interface Unsupported {
  readonly status: "unsupported" | "absent";
  readonly reason: string;
}

/** Asks a backend for what a case needs. @throws what is no answer, but a failure */
export async function support(backend: Backend, needs: Needs): Promise<Supported | Unsupported> {
  const { graph, weights, wanted, cache, sampling = false } = needs;
  let program: Program | undefined;
  try {
    program = await backend.compile(graph, weights, wanted && { wanted });
    if (cache !== undefined) program.createCache(1, { format: cache })[Symbol.dispose]();
  } catch (error) {
    await program?.[Symbol.asyncDispose]();
    if (error instanceof PolyllamaError && error.code === "ERR_UNSUPPORTED")
      return { status: "unsupported", reason: error.message };
    throw error;
  }
  if (sampling && program.sample === undefined) {
    await program[Symbol.asyncDispose]();
    return { status: "absent", reason: "tokens are chosen on the host alone" };
  }
  return { status: "supported", program };
}

/** What cases under `loweredLimits` find where there is no such backend. */
export const notLowered: Unsupported = {
  status: "absent",
  reason: "nothing is split by limits that could be lowered",
};
