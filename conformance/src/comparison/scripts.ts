// Runs of a graph of several operations against an estimated tolerance: only what is asked for is compared, so that
// what lies between may never be written. Guaranteed bounds do not compose.

import type { Tensor } from "@polyllama/core";
import { type Device, type LoadedGraph, loadGraph, type Wanted } from "@polyllama/core/device";
import { type Script, ScriptCaches } from "../script.ts";
import { support, type Unsupported } from "../support.ts";
import { perturbedRuns } from "./constants.ts";
import { at, both, exact, type Finding } from "./measure.ts";
import { estimateTolerances, measureTolerance } from "./tolerance.ts";

/** A graph with runs of it, of which only some values are asked for. */
export interface Chain extends Script {
  readonly wanted: readonly Wanted[];
}

/** Holds all that a chain gives to the estimated tolerance. */
export async function compareChain(
  chain: Chain,
  device: Device,
  runs: number = perturbedRuns,
): Promise<Finding | Unsupported> {
  const supported = await support(device, chain);
  if (supported.status !== "supported") return supported;
  await using loaded = supported.loaded;
  const actual = await play(chain, loaded);
  const playOn = async (other: Device): Promise<readonly Tensor[]> => {
    await using exactly = await loadGraph(other, chain.graph, chain.weights);
    return await play(chain, exactly); // before it is disposed
  };
  const seeds = Array.from({ length: runs }, (_, seed) => seed);
  const tolerances = await estimateTolerances(playOn, device.roundings, seeds);
  return actual
    .map((tensor, i) => at(`output ${i}`, measureTolerance(tensor, tolerances[i]!)))
    .reduce<Finding>(both, exact);
}

/** The wanted values of every run, one after another. */
async function play(chain: Chain, loaded: LoadedGraph): Promise<Tensor[]> {
  using caches = new ScriptCaches(loaded, chain);
  const outputs: Tensor[] = [];
  for (const action of chain.actions) {
    const step = caches.next(action);
    if (step !== undefined) outputs.push(...(await loaded.run(step, chain.wanted)));
  }
  return outputs;
}
