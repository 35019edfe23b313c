// Runs steps of graphs that train: everything of a step at once, as gradients are sums over all its rows. What one step
// gives and another takes stays on the device. Updates come last, where nothing interrupts them, and only where what they
// are made of is finite. How values are computed is the backend's matter.

import {
  type Graph,
  type Node,
  PolyllamaError,
  rowsIn,
  type TensorType,
  UnsupportedError,
  type ValueName,
  type WeightName,
} from "@polyllama/core";
import { type HostArray, isDeviceTensor, type OutputValue, type Step, type StepPlaces } from "@polyllama/core/device";
import type { TensorRegister } from "../frame/device-frame.ts";
import type { PoolStorage } from "../frame/paged-pool.ts";
import type { AcceptedStep, StepExecutor, StepRun } from "../frame/program-frame.ts";
import type { ParameterStorage, SharedParameters } from "../frame/shared-parameters.ts";
import { StepTensor, type TensorStorage } from "../frame/step-tensor.ts";
import { outputValue } from "../host/outputs.ts";
import { computedRows } from "../host/rows.ts";
import { hostRun, isHostTensor } from "../host/tensors.ts";
import { type PreparedTraining, TrainingPlans } from "./plans.ts";
import { checkUpdates, isInPlace } from "./updates.ts";

/** A value's type, and rows where it has one for each row of a step. */
export interface TensorLayout {
  readonly type: TensorType;
  readonly width: number;
  readonly rows: number;
}

/** A step of training. */
export interface TrainingRun<Tensor extends TensorStorage> {
  readonly plan: PreparedTraining;
  readonly places: StepPlaces;
  readonly inputs: Readonly<Record<ValueName, HostArray>>;
  /** Inputs that are tensors of training. */
  readonly given: ReadonlyMap<ValueName, Tensor>;
  /** Values that stay on the device. */
  readonly kept: ReadonlyMap<ValueName, Tensor>;
  /** Whether a node's results are written over its parameters. */
  readonly inPlace: (node: Node) => boolean;
  /** Whether weights are updated. */
  readonly updates: boolean;
}

/** What a run computed. */
export interface TrainingValues {
  /** Whether something that updates in place are made of is not finite. */
  readonly notFinite: boolean;
  /** Whether a value is written over a weight, so that there is no other memory with it. */
  isInPlace(name: ValueName): boolean;
  /** A value [rows, width]. */
  read(name: ValueName): Promise<HostArray>;
  /** Writes the updates that are made in place. Nothing interrupts it. */
  update(): Promise<void>;
  /** Nobody reads it any more. */
  free(): void;
}

/** A backend's part of running such steps. */
export interface TrainingBackend<Tensor extends TensorStorage> {
  /** For errors. */
  readonly name: string;
  /** Whether steps of this program can take a tensor. */
  owns(storage: TensorStorage): boolean;
  /** Whether a tensor is one that steps of training compute. */
  isTensor(storage: TensorStorage): storage is Tensor;
  /** @param onFree Called when its memory is free. @throws {MemoryError} */
  allocate(layout: TensorLayout, onFree: () => void): Tensor;
  /** Computes everything but updates in place. @throws {MemoryError}; the signal's reason */
  run(run: TrainingRun<Tensor>, signal: AbortSignal): Promise<TrainingValues>;
  /**
   * What overwrites a weight, given its values row after row.
   *
   * @throws {PolyllamaError} `ERR_PARAMETERS` for one that is not stored alone in f32
   */
  writer(weight: WeightName): (values: Float32Array) => void | Promise<void>;
  /** Frees what belongs to the program alone. */
  free(): void | Promise<void>;
}

export class TrainingExecutor<Tensor extends TensorStorage, Pool extends PoolStorage> implements StepExecutor<Pool> {
  readonly #graph: Graph;
  readonly #parameters: SharedParameters<ParameterStorage>;
  readonly #backend: TrainingBackend<Tensor>;
  readonly #register: TensorRegister;
  readonly #plans: TrainingPlans;

  /** @throws {UnsupportedError} for graphs with several inputs of tokens to look up */
  constructor(
    graph: Graph,
    parameters: SharedParameters<ParameterStorage>,
    backend: TrainingBackend<Tensor>,
    register: TensorRegister,
  ) {
    this.#graph = graph;
    this.#parameters = parameters;
    this.#backend = backend;
    this.#register = register;
    this.#plans = new TrainingPlans(graph);
  }

  owns(tensor: StepTensor): boolean {
    return isHostTensor(tensor, this.#parameters.owner) || this.#backend.owns(tensor.storage);
  }

  accept(accepted: AcceptedStep<Pool>): StepRun {
    if (accepted.caches.some((cache) => cache !== undefined)) {
      const remedy = "Leave the caches out, or compile a graph for inference.";
      const problem = `The ${this.#backend.name} backend trains on whole sequences, without caches`;
      throw new UnsupportedError(problem, remedy, { op: "attention" });
    }
    if (accepted.places.sequences.some(({ adapter }) => adapter !== undefined)) {
      const problem = `The ${this.#backend.name} backend does not train beside adapters that are switched at run time`;
      throw new UnsupportedError(problem, "Merge the adapter into the weights, or use the reference.", {
        op: "linear",
      });
    }
    return hostRun(accepted, this.#parameters.owner, (signal) => this.#run(accepted, signal));
  }

  async #run(accepted: AcceptedStep<Pool>, signal: AbortSignal): Promise<readonly OutputValue[]> {
    const { step, places } = accepted;
    const { updates = {}, outputs } = step;
    const asked = new Set(outputs.map(({ value }) => value).filter((value) => step.inputs[value] === undefined));
    const plan = this.#plans.get(
      new Set([...asked, ...Object.values(updates)].filter((value) => step.inputs[value] === undefined)),
    );
    const { inputs, given } = await this.#inputs(step, signal);
    checkTargets(this.#graph, this.#parameters.storage, inputs);
    const kept = this.#kept(accepted, asked);
    const run: TrainingRun<Tensor> = {
      plan,
      places,
      inputs,
      given,
      kept: kept.tensors,
      inPlace: (node) => isInPlace(node, updates, asked),
      updates: Object.keys(updates).length > 0,
    };
    let values: TrainingValues | undefined;
    try {
      values = await this.#backend.run(run, signal);
      const outputs = await this.#outputs(accepted, run, values, kept.byOutput);
      await this.#update(run, values, updates, signal);
      return outputs;
    } catch (error) {
      kept.drop();
      throw error;
    } finally {
      values?.free();
    }
  }

  /** @throws what keeps it from beginning; `PolyllamaError` `ERR_PARAMETERS` for what ends it afterwards */
  async #update(
    run: TrainingRun<Tensor>,
    values: TrainingValues,
    updates: Readonly<Record<WeightName, ValueName>>,
    signal: AbortSignal,
  ): Promise<void> {
    if (!run.updates) return;
    const { storage } = this.#parameters;
    const written = Object.entries(updates).filter(([, name]) => !values.isInPlace(name));
    const replaced = await Promise.all(
      written.map(async ([weight, name]) => ({ weight, name, data: await arrayOf(run, values, name) })),
    );
    checkUpdates(Object.keys(updates), replaced, values.notFinite, storage);
    const writers = replaced.map(({ weight, data }) => ({ write: this.#backend.writer(weight), data }));
    signal.throwIfAborted();
    try {
      await values.update();
      for (const { write, data } of writers) await write(Float32Array.from(data));
    } catch (error) {
      throw this.#parameters.damage(error);
    }
    this.#parameters.version++;
  }

  async #outputs(
    accepted: AcceptedStep<Pool>,
    run: TrainingRun<Tensor>,
    values: TrainingValues,
    byOutput: ReadonlyMap<number, StepTensor<Tensor>>,
  ): Promise<readonly OutputValue[]> {
    const { step, places } = accepted;
    const owner = this.#parameters.owner;
    const history = (sequence: number, end: number) => this.#history(places, run.inputs, sequence, end);
    return Promise.all(
      step.outputs.map(async (output, i): Promise<OutputValue> => {
        const tensor = byOutput.get(i);
        if (tensor !== undefined) return { to: "device", tensor };
        const [type, width] = [this.#graph.types.get(output.value)!, this.#graph.widths.get(output.value)!]; // of this graph
        const data = Float32Array.from(await arrayOf(run, values, output.value));
        const value = computedRows(Float32Array, { rows: rowsIn(type, places.rows), width, data });
        return outputValue(output, places.outputRows[i]!, value, { ...accepted, owner, history }); // one entry per output
      }),
    );
  }

  /** Tensors for outputs that stay on the device, one for a value. */
  #kept({ step, places, record }: AcceptedStep<Pool>, asked: ReadonlySet<ValueName>) {
    const tensors = new Map<ValueName, Tensor>();
    const byOutput = new Map<number, StepTensor<Tensor>>();
    const drop = (): void => {
      for (const tensor of byOutput.values()) tensor[Symbol.dispose]();
    };
    for (const [i, output] of step.outputs.entries()) {
      const { value } = output;
      if (output.to !== "device" || output.rows !== "all" || tensors.has(value) || !asked.has(value)) continue;
      const [type, width] = [this.#graph.types.get(value)!, this.#graph.widths.get(value)!]; // of this graph
      try {
        const layout = { type, width, rows: places.rows };
        const storage = this.#backend.allocate(layout, () => this.#register.closed(tensor));
        const shape = [rowsIn(type, places.rows), width] as const;
        const tensor = new StepTensor<Tensor>(shape, "activations", storage, record);
        tensors.set(value, storage);
        byOutput.set(i, tensor);
        this.#register.opened(tensor);
      } catch (error) {
        drop();
        throw error;
      }
    }
    return { tensors, byOutput, drop };
  }

  /** Arrays of the host, and tensors that lie where kernels find them; others are read. */
  async #inputs({ inputs }: Step, signal: AbortSignal) {
    const given = new Map<ValueName, Tensor>();
    const arrays: Record<ValueName, HostArray> = {};
    for (const [name, input] of Object.entries(inputs)) {
      if (!isDeviceTensor(input)) arrays[name] = input;
      else {
        const { storage } = input as StepTensor; // the frame lets in no others
        if (this.#backend.isTensor(storage)) given.set(name, storage);
        else arrays[name] = await storage.read(signal);
      }
    }
    return { given, inputs: arrays };
  }

  #history(
    { sequences }: StepPlaces,
    inputs: Readonly<Record<ValueName, HostArray>>,
    sequence: number,
    end: number,
  ): readonly number[] {
    const tokens = this.#plans.tokens === undefined ? undefined : inputs[this.#plans.tokens];
    const { first, start } = sequences[sequence]!; // of the step
    return tokens === undefined ? [] : [...tokens.subarray(first, first + end - start)];
  }

  free(): void | Promise<void> {
    return this.#backend.free();
  }
}

async function arrayOf(
  { inputs, given }: Pick<TrainingRun<TensorStorage>, "inputs" | "given">,
  values: TrainingValues,
  name: ValueName,
): Promise<HostArray> {
  return inputs[name] ?? (await given.get(name)?.read(undefined)) ?? (await values.read(name));
}

/** @throws {PolyllamaError} `ERR_GRAPH` for a target beyond the vocabulary; below 0 it is none */
function checkTargets(
  { nodes }: Graph,
  { weights }: ParameterStorage,
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
