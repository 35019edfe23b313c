// Runs steps of graphs that train: everything of a step at once, as gradients are sums over all its rows. What one step
// gives and another takes stays in memory of the library's own. Updates come last, in a run that nothing interrupts, and
// only where what they are made of is finite.

import { type Graph, type Node, PolyllamaError, rowsIn, UnsupportedError, type ValueName } from "@polyllama/core";
import { type HostArray, isDeviceTensor, type OutputValue, type Step } from "@polyllama/core/device";
import {
  type AcceptedStep,
  computedRows,
  hostRun,
  inputArrays,
  isHostTensor,
  outputValue,
  type SharedParameters,
  type StepExecutor,
  type StepRun,
  StepTensor,
  type TensorRegister,
} from "@polyllama/planner";
import type { PoolMemory } from "../cache/pool-memory.ts";
import type { Machine } from "../machine.ts";
import type { LoadedWeights } from "../weights/loaded.ts";
import { TrainingMemory } from "./memory.ts";
import { TrainingPlans } from "./plans.ts";
import { runTraining } from "./run.ts";
import { NativeTensor, type TensorMemory } from "./tensors.ts";
import { checkFinite, isInPlace, writeUpdates } from "./updates.ts";

/** What a device shares with programs that train. */
export interface TrainingParts {
  readonly machine: Machine;
  readonly tensors: TensorMemory;
  readonly register: TensorRegister;
}

export class TrainingExecutor implements StepExecutor<PoolMemory> {
  readonly #graph: Graph;
  readonly #parameters: SharedParameters<LoadedWeights>;
  readonly #parts: TrainingParts;
  readonly #plans: TrainingPlans;
  readonly #memory: TrainingMemory;
  readonly #use: Disposable;

  /** @throws {UnsupportedError} for graphs with several inputs of tokens to look up */
  constructor(graph: Graph, parameters: SharedParameters<LoadedWeights>, parts: TrainingParts) {
    this.#graph = graph;
    this.#parameters = parameters;
    this.#parts = parts;
    this.#plans = new TrainingPlans(graph);
    this.#memory = new TrainingMemory(parts.machine);
    this.#use = parts.tensors.use();
  }

  owns(tensor: StepTensor): boolean {
    return (
      isHostTensor(tensor, this.#owner) ||
      (tensor.storage instanceof NativeTensor && tensor.storage.owner === this.#owner)
    );
  }

  get #owner(): object {
    return this.#parameters.owner;
  }

  accept(accepted: AcceptedStep<PoolMemory>): StepRun {
    if (accepted.caches.some((cache) => cache !== undefined)) {
      const remedy = "Leave the caches out, or compile a graph for inference.";
      throw new UnsupportedError("The cpu backend trains on whole sequences, without caches", remedy, {
        op: "attention",
      });
    }
    return hostRun(accepted, this.#owner, (signal) => this.#run(accepted, signal));
  }

  async #run(accepted: AcceptedStep<PoolMemory>, signal: AbortSignal): Promise<readonly OutputValue[]> {
    const { step, places } = accepted;
    const { updates = {}, outputs } = step;
    const asked = new Set(outputs.map(({ value }) => value).filter((value) => step.inputs[value] === undefined));
    const inPlace = (node: Node): boolean => isInPlace(node, updates, asked);
    const plan = this.#plans.get(
      new Set([...asked, ...Object.values(updates)].filter((value) => step.inputs[value] === undefined)),
    );
    const kept = this.#kept(accepted, asked);
    const { inputs, given } = this.#inputs(step);
    checkTargets(this.#graph, this.#parameters.storage, inputs);
    const names = Object.keys(updates);
    const run = {
      plan,
      places,
      inputs,
      given,
      kept: kept.tensors,
      inPlace,
      weights: this.#parameters.storage,
      updates: names.length > 0,
    };
    const values = await runTraining(run, this.#memory, this.#parts.machine, signal).catch((error: unknown) => {
      kept.drop();
      throw error;
    });
    const value = (name: ValueName): HostArray => inputs[name] ?? given.get(name)?.array() ?? values.read(name);
    if (names.length > 0) {
      try {
        const written = Object.entries(updates).filter(([, name]) => !values.isInPlace(name));
        const replaced = written.map(([weight, name]) => ({ weight, name, data: value(name) }));
        checkFinite(names, replaced, values.notFinite, this.#parameters.storage);
        await values.update();
        writeUpdates(replaced, this.#parameters.storage);
      } catch (error) {
        kept.drop();
        throw error;
      }
      this.#parameters.version++;
    }
    return outputs.map((output, i) => {
      const tensor = kept.byOutput.get(i);
      if (tensor !== undefined) return { to: "device", tensor };
      const [type, width] = [this.#graph.types.get(output.value)!, this.#graph.widths.get(output.value)!]; // of this graph
      const data = value(output.value);
      const reals = data instanceof Int32Array ? Float32Array.from(data) : Float32Array.from(data);
      const rows = { rows: rowsIn(type, places.rows), width, data: reals };
      const history = (sequence: number, end: number) => this.#history(accepted, inputs, sequence, end);
      const context = { ...accepted, owner: this.#owner, history };
      return outputValue(output, places.outputRows[i]!, computedRows(Float32Array, rows), context); // one entry per output
    });
  }

  /** Tensors for outputs that stay on the device, one for a value. */
  #kept({ step, places, record }: AcceptedStep<PoolMemory>, asked: ReadonlySet<ValueName>) {
    const { tensors: memory, register } = this.#parts;
    const tensors = new Map<ValueName, NativeTensor>();
    const byOutput = new Map<number, StepTensor<NativeTensor>>();
    const drop = (): void => {
      for (const tensor of byOutput.values()) tensor[Symbol.dispose]();
    };
    for (const [i, output] of step.outputs.entries()) {
      const { value } = output;
      if (output.to !== "device" || output.rows !== "all" || tensors.has(value) || !asked.has(value)) continue;
      const [type, width] = [this.#graph.types.get(value)!, this.#graph.widths.get(value)!]; // of this graph
      const layout = { type, width, rows: places.rows };
      try {
        const storage: NativeTensor = new NativeTensor(this.#owner, layout, memory, () => register.closed(tensor));
        const tensor: StepTensor<NativeTensor> = new StepTensor(
          [rowsIn(type, places.rows), width],
          "activations",
          storage,
          record,
        );
        tensors.set(value, storage);
        byOutput.set(i, tensor);
        register.opened(tensor);
      } catch (error) {
        drop();
        throw error;
      }
    }
    return { tensors, byOutput, drop };
  }

  /** Arrays of the host, and tensors that lie where the library finds them. */
  #inputs(step: Step) {
    const given = new Map<ValueName, NativeTensor>();
    const others: Record<ValueName, Step["inputs"][string]> = {};
    for (const [name, input] of Object.entries(step.inputs)) {
      const storage = isDeviceTensor(input) && input instanceof StepTensor ? input.storage : undefined;
      if (storage instanceof NativeTensor) given.set(name, storage);
      else others[name] = input;
    }
    return { given, inputs: inputArrays({ ...step, inputs: others }) };
  }

  #history(
    { places }: AcceptedStep<PoolMemory>,
    inputs: Readonly<Record<ValueName, HostArray>>,
    sequence: number,
    end: number,
  ): readonly number[] {
    const tokens = this.#plans.tokens === undefined ? undefined : inputs[this.#plans.tokens];
    const { first, start } = places.sequences[sequence]!; // of the step
    return tokens === undefined ? [] : [...tokens.subarray(first, first + end - start)];
  }

  free(): void {
    this.#memory[Symbol.dispose]();
    this.#use[Symbol.dispose]();
  }
}

/** @throws {PolyllamaError} `ERR_GRAPH` for a target beyond the vocabulary; below 0 it is none */
function checkTargets(
  { nodes }: Graph,
  { weights }: LoadedWeights,
  inputs: Readonly<Record<ValueName, HostArray>>,
): void {
  for (const node of nodes) {
    if (node.op !== "logProbability" && node.op !== "logProbabilityGrad") continue;
    const [targets, vocabSize] = [inputs[node.targets], weights.get(node.weight)!.shape[0]!]; // loaded for this graph
    const n = targets?.findIndex((target) => target >= vocabSize) ?? -1;
    if (n < 0) continue;
    const problem = `Row ${n}: target ${targets![n]} is outside the vocabulary of ${vocabSize}.`; // found among them
    throw new PolyllamaError("ERR_GRAPH", problem);
  }
}
