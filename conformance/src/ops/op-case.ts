// One operation, held against the reference element by element. A case is built from its seed into a script; every
// run's output must lie within the bound that follows from the backend's declared roundings. What is too large to
// compute exactly is computed for some rows or columns and checked for the rest.

import { reference, runWithBounds } from "@polyllama/backend-reference";
import { type Graph, isTraining, type OpName, type WeightSource } from "@polyllama/core";
import { type Device, type HostStep, loadGraph } from "@polyllama/core/device";
import { formatAddress, type Parameters } from "../address.ts";
import { type CaseResult, resultOf } from "../case.ts";
import { at, both, exact, type Finding, measure, type Sample, wrong } from "../comparison/measure.ts";
import { type Script, ScriptCaches } from "../script.ts";
import { support, type Unsupported } from "../support.ts";
import { untrained } from "../training/untrained.ts";
import { disturbed, guarded } from "./guard.ts";

/**
 * One operation at one shape and format, with the runs that try it; the address, such as `op:linear:format=q4_0`, names
 * it everywhere.
 */
export interface OpCase {
  readonly address: string;
  readonly op: OpName;
  readonly parameters: Parameters;
  /** Takes longer than tests should. */
  readonly slow?: boolean;
  /** Graph, weights and runs, the same for the same seed. */
  build(seed: number): OpScript;
}

/** Runs of a graph, whose outputs are all held to their bounds. */
export interface OpScript extends Script {
  /** A part of the outputs, which alone is computed exactly. */
  readonly sampled?: SampledScript;
}

/** A graph and weights that give some rows and columns of a graph's outputs, in order, from a part of its inputs. */
export interface SampledScript extends Sample {
  readonly graph: Graph;
  readonly weights: WeightSource;
  /** That part of a run's inputs; default: all. */
  readonly inputs?: (given: HostStep["inputs"]) => HostStep["inputs"];
}

/** Makes a case of a build function; the address follows from name and parameters. */
export function opCase(
  op: OpName,
  parameters: Parameters,
  build: (seed: number) => OpScript,
  marks: Pick<OpCase, "slow"> = {},
): OpCase {
  return { address: formatAddress("op", op, parameters), op, parameters, ...marks, build };
}

/** Runs one case on a device. */
export function runCase(testCase: OpCase, device: Device, seed: number): Promise<CaseResult> {
  return resultOf(testCase.address, () => compareOp(testCase.build(seed), device));
}

async function compareOp(script: OpScript, device: Device): Promise<Finding | Unsupported> {
  if (!device.features.updates && script.graph.nodes.some(isTraining)) return untrained;
  const supported = await support(device, script);
  if (supported.status !== "supported") return supported;
  await using loaded = supported.loaded;
  const { sampled } = script;
  const { graph, weights, inputs: part = (given: HostStep["inputs"]) => given } = sampled ?? { ...script };
  await using judge = reference();
  await using exactly = await loadGraph(judge, graph, weights);
  const { cache, ...unrounded } = script;
  using caches = new ScriptCaches(loaded, script);
  using exactCaches = new ScriptCaches(exactly, unrounded);
  const { outputs } = script.graph;
  const rounding = { ...device.roundings, ...(cache !== undefined && { cache }) };

  let finding = exact;
  for (const [number, action] of script.actions.entries()) {
    const step = caches.next(action);
    const exactStep = exactCaches.next(action);
    if (step === undefined || exactStep === undefined) continue;
    const inputs = guarded(step.inputs);
    const actual = await loaded.run({ ...step, inputs }, outputs);
    const exactInputs = part(exactStep.inputs);
    const expected = await runWithBounds(exactly, { ...exactStep, inputs: exactInputs }, outputs, rounding);
    const touched = disturbed(inputs, step.inputs);
    for (const [i, { value, bound }] of expected.entries()) {
      const found = measure(actual[i]!, value, (_, index) => bound.data[index]!, sampled); // one for each output
      const place = outputs.length === 1 ? `action ${number}` : `action ${number}, ${outputs[i]}`;
      finding = both(finding, at(place, touched === undefined ? found : wrong(touched)));
    }
  }
  return finding;
}
