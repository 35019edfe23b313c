// Training in stages, each of other weights: how a model learns a language that its vocabulary was extended by. The rows
// of new tokens are means of old ones (`extendVocabulary` of @polyllama/checkpoints) and mean little yet, so that they
// are trained alone first, and disturb nothing; then all weights follow, or an adapter and the embeddings (Cui et al.,
// "Efficient and Effective Text Encoding for Chinese LLaMA and Alpaca", arXiv 2304.08177, sections 3.2 and 4.1).

import {
  type AdamWOptions,
  type AdapterSource,
  type Graph,
  type LoraGraph,
  type LoraOptions,
  matrixParts,
  OptionError,
  type WeightName,
  type WeightPart,
  type WeightSource,
  weightsOfParts,
  withLora,
  withNewAdapter,
} from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { copyWeights, trainedAdapter, withWeights } from "./adapters/weights.ts";
import { createTrainer, type Trainer } from "./trainer.ts";

/** What a stage trains. */
export interface Stage {
  readonly name: string;
  /** Weights that are trained in full; an adapter adds its own. */
  readonly trained: "all" | readonly WeightPart[];
  /** Default: none. */
  readonly adapter?: Omit<LoraOptions, "trainable">;
}

const tables: readonly WeightPart[] = ["tok_embeddings", "output"];

/**
 * The two stages of Chinese-LLaMA: the embeddings, then an adapter of every matrix beside embeddings and output matrix
 * (rank 8, alpha 32; its peak rate is 2e-4, sequences have 512 tokens). `full` is the form that trains all weights in
 * the second stage.
 *
 * @param tied Whether the model has no output matrix of its own; default false.
 */
export function chineseStages({ full = false, tied = false }: ChineseStagesOptions = {}): readonly [Stage, Stage] {
  const trained = tied ? tables.slice(0, 1) : tables;
  const first: Stage = { name: "embeddings", trained: ["tok_embeddings"] };
  if (full) return [first, { name: "all", trained: "all" }];
  return [first, { name: "adapter", trained, adapter: { rank: 8, alpha: 32, targets: matrixParts } }];
}

/** Options of {@link chineseStages}. */
export interface ChineseStagesOptions {
  readonly full?: boolean;
  readonly tied?: boolean;
}

/** A model between stages. */
export interface StagedModel {
  /** From tokens to logits, as `llamaGraph` gives it; without an adapter. */
  readonly graph: Graph;
  /** Its weights, and those of its adapter. */
  readonly source: WeightSource;
  /** Weights that stages have trained in full, so far. */
  readonly changed?: ReadonlySet<WeightName>;
  /** What stages have trained beside the model's matrices. */
  readonly adapters?: LoraGraph["adapters"];
}

/** A trainer of a stage. */
export interface StageTrainer extends Trainer {
  /** The model with what this stage has trained so far, which stays when the trainer is disposed. */
  result(signal?: AbortSignal): Promise<StagedModel>;
}

/** Options of {@link createStageTrainer}. */
export interface StageOptions {
  readonly optimizer?: AdamWOptions;
  /** Of a new adapter's A; default 0. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
}

/**
 * Loads a model for a stage. The optimizer begins anew; an adapter of the stage before goes on.
 *
 * @throws {OptionError} for parts that the model does not have, and for a stage that would leave an adapter out; what
 * `createTrainer` throws.
 */
export async function createStageTrainer(
  device: Device,
  model: StagedModel,
  stage: Stage,
  { seed = 0, ...options }: StageOptions = {},
): Promise<StageTrainer> {
  const { graph, source, changed = new Set() } = model;
  const lora = adapterOf(graph, stage);
  checkContinued(model, lora, stage);
  const whole = wholeOf(graph, stage);
  const weights = lora === undefined || model.adapters !== undefined ? source : withNewAdapter(source, lora, seed);
  const trained = lora?.trained ?? whole;
  const trainer = await createTrainer(device, lora?.graph ?? graph, weights, { ...options, trained });
  return {
    get steps() {
      return trainer.steps;
    },
    step: (batch, rate, signal) => trainer.step(batch, rate, signal),
    evaluate: (batch, signal) => trainer.evaluate(batch, signal),
    export: () => trainer.export(),
    async result(signal) {
      const found = await copyWeights(trainer.export(), trained, signal);
      return {
        graph,
        source: withWeights(source, found),
        changed: new Set([...changed, ...whole]),
        ...(lora && { adapters: lora.adapters }),
      };
    },
    [Symbol.asyncDispose]: () => trainer[Symbol.asyncDispose](),
  };
}

/**
 * What all stages together have trained, as an adapter of the model that they began with.
 *
 * @throws {OptionError} for a model that has no adapter: its `source` is what was trained.
 */
export function stagedAdapter({ source, changed = new Set(), adapters }: StagedModel): AdapterSource {
  if (adapters !== undefined) return trainedAdapter(source, { adapters, trained: [...changed] });
  const expected = "a model one of whose stages trained an adapter";
  const message = `model has no adapter; it must be ${expected}. Write its source as a checkpoint.`;
  throw new OptionError(message, { option: "model", expected, value: changed });
}

function wholeOf(graph: Graph, { trained }: Stage): readonly WeightName[] {
  return trained === "all" ? graph.weights.map(({ name }) => name) : weightsOfParts(graph, trained, "stage.trained");
}

/** @throws {OptionError} for a stage that trains matrices in full, too. */
function adapterOf(graph: Graph, { name, trained, adapter }: Stage): LoraGraph | undefined {
  if (adapter === undefined) return undefined;
  if (trained !== "all") return withLora(graph, { ...adapter, trainable: trained });
  const expected = "left out where all weights train";
  throw new OptionError(`The stage "${name}" has an adapter, which must be ${expected}.`, {
    option: "stage.adapter",
    expected,
    value: adapter,
  });
}

/** @throws {OptionError} where a stage has another adapter than the one before. */
function checkContinued({ adapters }: StagedModel, lora: LoraGraph | undefined, stage: Stage): void {
  const shown = (all: LoraGraph["adapters"] | undefined): string => JSON.stringify([...(all ?? [])]);
  if (adapters === undefined || shown(adapters) === shown(lora?.adapters)) return;
  const expected = "the adapter of the stage before";
  const message = `The stage "${stage.name}" must go on with ${expected}, or be given a model into which that was merged.`;
  throw new OptionError(message, { option: "stage.adapter", expected, value: stage.adapter });
}
