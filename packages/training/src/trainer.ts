// A model's parameters in training, on a device: a step is one update by the gradient of a whole batch, which may come in
// micro-batches, whose gradients stay on the device and are added up there.

import {
  type AdamWOptions,
  adamWGraph,
  adamWSettings,
  type Graph,
  gradient,
  type OptimizerGraph,
  OptionError,
  PolyllamaError,
  type WeightName,
  type WeightSource,
  withLogProbabilities,
  withMoments,
} from "@polyllama/core";
import type { Device, Parameters, Program } from "@polyllama/core/device";
import { languageLoss, logProbability, packedStep, totalWeight } from "./loss.ts";
import { type GradientPrograms, type Gradients, hostValues, runMicroBatch } from "./micro-batch.ts";
import type { PackedSequence } from "./pack.ts";

/** A batch in micro-batches: what is computed at once, and together makes one step. */
export type Batch = readonly (readonly PackedSequence[])[];

/** What a step found, before its update. */
export interface StepResult {
  /** Mean of -log p over the targets of the batch, each by its weight. */
  readonly loss: number;
  /** Global norm of the gradients, before clipping. */
  readonly norm: number;
}

/** Parameters in training. Disposing it frees them. */
export interface Trainer extends AsyncDisposable {
  /** Updates so far. */
  readonly steps: number;
  /**
   * One update. Steps build upon each other: await each before the next.
   *
   * @param rate Its learning rate.
   * @throws {OptionError} for a batch in which nothing counts; `PolyllamaError` `ERR_OVERFLOW` for a loss that is not
   * finite, after which the parameters are as they were; what the device's steps throw.
   */
  step(batch: Batch, rate: number, signal?: AbortSignal): Promise<StepResult>;
  /**
   * The loss that `step` would find, without an update.
   *
   * @throws {OptionError} for a batch in which nothing counts; what the device's steps throw.
   */
  evaluate(batch: Batch, signal?: AbortSignal): Promise<number>;
  /** The present weights, and their moments as `momentsOf` names them, as f32. @throws what the parameters' export throws */
  export(): WeightSource;
}

/** Options of {@link createTrainer}. */
export interface TrainerOptions {
  readonly optimizer?: AdamWOptions;
  /** Updates that the weights have behind them; default 0. */
  readonly steps?: number;
  /** Weights that train, and have moments; default: all of the graph's. The others stay as they are stored. */
  readonly trained?: readonly WeightName[];
  readonly signal?: AbortSignal;
}

/**
 * Loads a model to train its weights, or some of them: those of an adapter, as `withLora` lists them.
 *
 * @param graph Leads from `tokens` to logits, as `llamaGraph` does.
 * @param source Must stay readable until the trainer is disposed. Moments that it has under the names of `momentsOf` are
 * gone on with.
 * @throws {UnsupportedError} of a device that computes no gradients; what `Device.loadParameters` and `Device.compile`
 * throw.
 */
export async function createTrainer(
  device: Device,
  graph: Graph,
  source: WeightSource,
  { optimizer: adamw = {}, trained, steps = 0, signal }: TrainerOptions = {},
): Promise<Trainer> {
  const model = withLogProbabilities(graph);
  const weights = trained ?? model.weights.map(({ name }) => name);
  const [first, more] = [gradient(model, { weights }), gradient(model, { weights, accumulate: true })];
  const specs = model.weights.filter(({ name }) => first.weights.has(name));
  const optimizer = adamWGraph(specs, adamw);
  const graphs = [first.forward, first.backward, more.backward, optimizer.graph];
  const options = signal === undefined ? {} : { signal };
  const moments = withMoments(source, specs);
  const parameters = await device.loadParameters(graphs, moments, { mutable: true, ...options });
  const programs: Program[] = [];
  try {
    for (const each of graphs) programs.push(await device.compile(each, parameters, options));
    const [forward, backward, backwardMore, update] = programs as [Program, Program, Program, Program]; // as graphs
    return new GraphTrainer(
      parameters,
      { graphs: first, forward, backward },
      { graphs: more, forward, backward: backwardMore },
      { graph: optimizer, program: update, adamw },
      steps,
    );
  } catch (error) {
    for (const program of programs) await program[Symbol.asyncDispose]();
    parameters[Symbol.dispose]();
    throw error;
  }
}

interface Update {
  readonly graph: OptimizerGraph;
  readonly program: Program;
  readonly adamw: AdamWOptions;
}

class GraphTrainer implements Trainer {
  readonly #parameters: Parameters;
  readonly #first: GradientPrograms;
  readonly #more: GradientPrograms;
  readonly #update: Update;
  #steps: number;

  constructor(parameters: Parameters, first: GradientPrograms, more: GradientPrograms, update: Update, steps: number) {
    this.#parameters = parameters;
    this.#first = first;
    this.#more = more;
    this.#update = update;
    this.#steps = steps;
  }

  get steps(): number {
    return this.#steps;
  }

  async step(batch: Batch, rate: number, signal?: AbortSignal): Promise<StepResult> {
    const { parts, total } = weighed(batch, this.#steps + 1);
    let loss = 0;
    let gradients: Gradients | undefined;
    try {
      for (const packed of parts) {
        const before = gradients;
        const programs = before === undefined ? this.#first : this.#more;
        const found = await runMicroBatch(programs, { packed, total, before }, signal);
        gradients = found.gradients;
        dispose(before);
        loss += found.loss;
      }
      if (!Number.isFinite(loss)) {
        const remedy = "Go back to a checkpoint before it, and use a smaller learning rate or other data.";
        throw new PolyllamaError("ERR_OVERFLOW", `Step ${this.#steps + 1}: the loss is ${loss}. ${remedy}`);
      }
      const norm = await this.#apply(gradients ?? new Map(), rate, signal);
      return { loss, norm };
    } finally {
      dispose(gradients);
    }
  }

  async evaluate(batch: Batch, signal?: AbortSignal): Promise<number> {
    const { parts, total } = weighed(batch, this.#steps + 1);
    let loss = 0;
    for (const packed of parts) {
      const outputs = [{ value: logProbability, rows: "all", to: "host" }] as const;
      const [found] = await this.#first.forward.submit({ sequences: [], ...packedStep(packed), outputs }, signal)
        .result;
      loss += languageLoss(hostValues(found), packed, total).loss;
    }
    return loss;
  }

  /** One step of the optimizer. @returns the gradients' global norm. */
  async #apply(gradients: Gradients, rate: number, signal: AbortSignal | undefined): Promise<number> {
    const { graph, program, adamw } = this.#update;
    const named = [...gradients].map(([weight, tensor]) => [graph.gradients.get(weight)!, tensor] as const); // of all
    const settings = adamWSettings(rate, this.#steps + 1, adamw);
    const [squares] = await program.submit(
      {
        inputs: { ...Object.fromEntries(named), [graph.settings]: settings },
        sequences: [],
        outputs: [{ value: graph.squares, rows: "all", to: "host" }],
        updates: graph.updates,
      },
      signal,
    ).result;
    this.#steps++;
    return Math.sqrt(hostValues(squares)[0]!); // [1]
  }

  export(): WeightSource {
    return this.#parameters.export();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { program } = this.#update;
    const programs = [this.#first.forward, this.#first.backward, this.#more.backward, program];
    for (const each of programs) await each[Symbol.asyncDispose]();
    this.#parameters[Symbol.dispose]();
  }
}

/** The parts of a batch that have rows, and the weights of all of them. @throws {OptionError} */
function weighed(batch: Batch, step: number): { readonly parts: Batch; readonly total: number } {
  const parts = batch.filter((packed) => packed.some(({ tokens }) => tokens.length > 0));
  const total = parts.reduce((sum, packed) => sum + totalWeight(packed), 0);
  if (!(total <= 0)) return { parts, total };
  const expected = "sequences in which some target counts";
  const message = `Step ${step}: the batch must have ${expected}; leave it out.`;
  throw new OptionError(message, { option: "batch", expected, value: batch });
}

function dispose(gradients: Gradients | undefined): void {
  for (const tensor of gradients?.values() ?? []) tensor[Symbol.dispose]();
}
