// Options of the commands that train: where to, how, and what of the recipe is otherwise than in the paper.

import type { Recipe } from "@polyllama/training";
import type { Command } from "commander";
import type { BackendOptions } from "../backends.ts";
import { UsageError } from "../exit.ts";
import { addBackendOptions } from "../options.ts";
import { collect, integer, number } from "../values.ts";
import { addWeightOptions, type WeightFlags } from "./weights.ts";

/** What all of them take. */
export interface TrainingFlags extends BackendOptions, WeightFlags {
  readonly out: string;
  readonly resume?: boolean;
  readonly steps?: number;
  readonly epochs?: number;
  readonly batch?: number;
  readonly microBatch?: number;
  readonly length?: number;
  readonly peak?: number;
  readonly warmup?: number;
  readonly floor?: number;
  readonly weightDecay?: number;
  readonly maxNorm?: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly eps?: number;
  readonly seed: number;
  readonly saveEvery?: number;
  readonly keep?: number;
  readonly report: boolean;
  readonly validation?: readonly string[];
  readonly validateEvery?: number;
  readonly sample?: readonly string[];
  readonly sampleEvery?: number;
  readonly sampleTokens: number;
  readonly json?: boolean;
}

/** Adds them. @param sample What a sample begins with. */
export function addTrainingOptions(command: Command, sample: string): Command {
  command
    .requiredOption("-o, --out <folder>", "where checkpoints, log and report go")
    .option("--resume", "go on with the last checkpoint in the folder")
    .option("--json", "print one object at the end: step, loss, checkpoint");
  addWeightOptions(command)
    .optionsGroup("Recipe:")
    .option("--steps <n>", "steps of the whole run", integer(1))
    .option("--epochs <n>", "times that the data is gone through, instead of --steps", integer(1))
    .option("--batch <n>", "sequences of a step", integer(1))
    .option("--micro-batch <n>", "sequences that are computed at once (default: some 4,096 tokens)", integer(1))
    .option("--length <n>", "tokens of a sequence (default: the paper's 4096, or the context)", integer(2))
    .option("--peak <x>", "largest learning rate", number)
    .option("--warmup <n>", "steps of warm-up", integer(0))
    .option("--floor <x>", "part of the peak that the rate ends at", number)
    .option("--weight-decay <x>", "of matrices", number)
    .option("--max-norm <x>", "largest norm of the gradients", number)
    .option("--beta1 <x>", "of AdamW", number)
    .option("--beta2 <x>", "of AdamW", number)
    .option("--eps <x>", "of AdamW", number)
    .option("-s, --seed <n>", "equal seeds give equal runs", integer(0), 1)
    .optionsGroup("Run:")
    .option("--save-every <n>", "steps between checkpoints (default: 100)", integer(1))
    .option("--keep <n>", "checkpoints that are kept (default: 3)", integer(1))
    .option("--no-report", "write no report.html")
    .option("--validation <file>", "data that is not trained on, for its loss; repeatable", collect)
    .option("--validate-every <n>", "steps between its losses (default: as checkpoints)", integer(1))
    .option("--sample <text>", `${sample}; repeatable`, collect)
    .option("--sample-every <n>", "steps between samples (default: as checkpoints)", integer(1))
    .option("--sample-tokens <n>", "most tokens of a sample", integer(1), 64);
  return addBackendOptions(command);
}

/** Sequences that are computed at once have about so many tokens. */
const tokensAtOnce = 4096;

/** How a run is cut into batches. */
export interface Cut {
  readonly length: number;
  readonly sequences: number;
  readonly microBatch: number;
}

/** @throws {UsageError} for sequences that the model has no positions for. */
export function cutOf(flags: TrainingFlags, recipe: Recipe, contextLength: number): Cut {
  const { length = Math.min(recipe.length, contextLength) } = flags;
  if (length > contextLength) {
    throw new UsageError(`--length ${length} is more than the model's context of ${contextLength} tokens`);
  }
  const { size, of } = recipe.batch;
  const { batch: sequences = of === "sequences" ? size : Math.max(1, Math.round(size / length)) } = flags;
  const { microBatch = Math.max(1, Math.floor(tokensAtOnce / length)) } = flags;
  return { length, sequences, microBatch: Math.min(microBatch, sequences) };
}

/** Steps of a run. @throws {UsageError} where two options say it. */
export function stepsOf({ steps, epochs }: TrainingFlags, recipe: Recipe, batchesInEpoch: number): number {
  if (steps !== undefined && epochs !== undefined) throw new UsageError("--steps and --epochs exclude each other");
  if (steps !== undefined) return steps;
  const { size, of } = recipe.data;
  return (epochs ?? (of === "epochs" ? size : 1)) * batchesInEpoch;
}

/** The recipe as the options have it. */
export function recipeOf(flags: TrainingFlags, recipe: Recipe, { length, sequences }: Cut, steps: number): Recipe {
  const { peak, warmup, floor, weightDecay, maxNorm, beta1, beta2, eps, epochs } = flags;
  const byEpochs = flags.steps === undefined && (epochs !== undefined || recipe.data.of === "epochs");
  return {
    ...recipe,
    ...(peak !== undefined && { peak }),
    ...(warmup !== undefined && { warmup }),
    ...(floor !== undefined && { floor }),
    optimizer: {
      ...recipe.optimizer,
      ...(weightDecay !== undefined && { weightDecay }),
      ...(maxNorm !== undefined && { maxNorm }),
      ...(beta1 !== undefined && { beta1 }),
      ...(beta2 !== undefined && { beta2 }),
      ...(eps !== undefined && { eps }),
    },
    length,
    batch: { size: sequences, of: "sequences" },
    data: byEpochs
      ? { size: epochs ?? recipe.data.size, of: "epochs" }
      : { size: steps * sequences * length, of: "tokens" },
  };
}
