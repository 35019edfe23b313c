// A device under comparison with the reference on a whole model: what it has shown so far, and what becomes of errors
// on the way. One that cannot load the model is "not run"; one that fails later differs, at the place where it
// failed.

import {
  CheckpointError,
  type DeviceInfo,
  type Graph,
  type RealArray,
  type ValueName,
  type WeightSource,
} from "@polyllama/core";
import { type Device, type LoadedGraph, loadGraph } from "@polyllama/core/device";
import { type Activations, roundedActivations } from "../activations.ts";
import type { Compared, EndToEnd, LayerFinding, NotRun, OpFinding } from "./result.ts";
import { agreement, disagreement, firstDivergence } from "./verdict.ts";

/** A device that could not be opened here, and why. It is reported as not run. */
export interface Unavailable {
  readonly name: string;
  readonly reason: string;
}

/** A device under comparison. */
export interface Rival {
  readonly device: Device;
  readonly info: DeviceInfo;
  /** The whole model. */
  readonly loaded: LoadedGraph;
  readonly activations: Activations;
  /** The residual stream of each perturbed run, [N, D]. */
  chains: readonly RealArray[];
  readonly ops: OpFinding[];
  readonly layers: LayerFinding[];
  endToEnd: EndToEnd | undefined;
}

/** Loads the whole model on a device. */
export async function openRival(
  device: Device | Unavailable,
  graph: Graph,
  source: WeightSource,
  signal: AbortSignal | undefined,
): Promise<Rival | NotRun> {
  const { name } = device;
  const notRun = (reason: string): NotRun => {
    return { status: "not run", name, reason, verdict: `${name} not run: ${reason}` };
  };
  if ("reason" in device) return notRun(device.reason);
  return attempt<Rival | NotRun>(
    signal,
    async () => ({
      device,
      info: device.describe(),
      loaded: await loadGraph(device, graph, source, signal && { signal }),
      activations: activationsOf(device, graph, source),
      chains: [],
      ops: [],
      layers: [],
      endToEnd: undefined,
    }),
    notRun,
  );
}

function activationsOf({ roundings }: Device, graph: Graph, source: WeightSource): Activations {
  const names = graph.nodes.flatMap((node) => (node.op === "linear" ? [node.weight] : []));
  return roundedActivations(
    roundings,
    names.flatMap((name) => source.weights.get(name)?.format ?? []),
  );
}

/** What was found of a backend, once the whole model was gone through. @param order Values of the model's graph. */
export function conclude(rival: Rival, order: readonly ValueName[], rows: number): Compared {
  const { device, info, activations, ops, layers } = rival;
  const { name } = device;
  const endToEnd = rival.endToEnd!; // the last thing that is compared
  const first = firstDivergence(order, { ops, layers, endToEnd });
  const verdict = first === null ? agreement({ name, ops, layers, endToEnd }, rows) : disagreement(name, first);
  const status = first === null ? "agrees" : "differs";
  return { status, name, device: info, activations, ops, layers, endToEnd, first, verdict };
}

/** `action`'s result; what a device throws becomes a finding, unless it is about the model's files or an abort. */
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
