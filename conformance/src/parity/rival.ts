// A backend under comparison with the reference on a whole model: what it has shown so far, and what becomes of errors
// on the way. One that cannot compile the model is "not run"; one that fails later differs, at the place where it
// failed.

import {
  type Backend,
  CheckpointError,
  type DeviceInfo,
  type Graph,
  type Program,
  type RealArray,
  type ValueName,
  type WeightSource,
} from "@polyllama/core";
import { type Activations, roundedActivations } from "../activations.ts";
import type { Compared, EndToEnd, LayerFinding, NotRun, OpFinding } from "./result.ts";
import { agreement, disagreement, firstDivergence } from "./verdict.ts";

/** A backend that could not be created here, and why. It is reported as not run. */
export interface Unavailable {
  readonly name: string;
  readonly reason: string;
}

/** A backend under comparison. */
export interface Rival {
  readonly backend: Backend;
  readonly device: DeviceInfo;
  /** The whole model. */
  readonly program: Program;
  readonly activations: Activations;
  /** The residual stream of each perturbed run, [N, D]. */
  chains: readonly RealArray[];
  readonly ops: OpFinding[];
  readonly layers: LayerFinding[];
  endToEnd: EndToEnd | undefined;
}

/** Compiles the whole model on a backend. */
export async function openRival(
  candidate: Backend | Unavailable,
  graph: Graph,
  source: WeightSource,
  signal: AbortSignal | undefined,
): Promise<Rival | NotRun> {
  const { name } = candidate;
  const notRun = (reason: string): NotRun => {
    return { status: "not run", name, reason, verdict: `${name} not run: ${reason}` };
  };
  if (!("compile" in candidate)) return notRun(candidate.reason);
  return attempt<Rival | NotRun>(
    signal,
    async () => ({
      backend: candidate,
      device: candidate.describe(),
      program: await candidate.compile(graph, source, signal && { signal }),
      activations: activationsOf(candidate, graph, source),
      chains: [],
      ops: [],
      layers: [],
      endToEnd: undefined,
    }),
    notRun,
  );
}

function activationsOf({ roundings }: Backend, graph: Graph, source: WeightSource): Activations {
  const names = graph.nodes.flatMap((node) => (node.op === "linear" ? [node.weight] : []));
  return roundedActivations(
    roundings,
    names.flatMap((name) => source.weights.get(name)?.format ?? []),
  );
}

/** What was found of a backend, once the whole model was gone through. @param order Values of the model's graph. */
export function conclude(rival: Rival, order: readonly ValueName[], rows: number): Compared {
  const { backend, device, activations, ops, layers } = rival;
  const { name } = backend;
  const endToEnd = rival.endToEnd!; // the last thing that is compared
  const first = firstDivergence(order, { ops, layers, endToEnd });
  const verdict = first === null ? agreement({ name, ops, layers, endToEnd }, rows) : disagreement(name, first);
  const status = first === null ? "agrees" : "differs";
  return { status, name, device, activations, ops, layers, endToEnd, first, verdict };
}

/** `action`'s result; what a backend throws becomes a finding, unless it is about the model's files or an abort. */
export async function attempt<Result>(
  signal: AbortSignal | undefined,
  action: () => Promise<Result>,
  failed: (reason: string) => Result,
): Promise<Result> {
  try {
    return await action();
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof CheckpointError) throw error;
    return failed(error instanceof Error ? error.message : String(error));
  }
}
