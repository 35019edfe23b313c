// A run from the command line: its recipe is printed, its progress told, Ctrl-C saves it, and the end says where the model
// is.

import type { Device } from "@polyllama/core/device";
import {
  type Example,
  type MixtureBatchesOptions,
  type MixturePart,
  mixtureBatches,
  packExamples,
  type Recipe,
  recipeLines,
  shuffledExamples,
  type TrainingData,
} from "@polyllama/training";
import { logPath, type RunEvent, reportPath, runTraining, type Sample } from "@polyllama/training/node";
import { type Checkpoint, Llama, PolyllamaError } from "polyllama";
import { createBackend } from "../backends.ts";
import { Exit } from "../exit.ts";
import { count, plural } from "../format.ts";
import type { Interrupts } from "../interrupts.ts";
import { note, print, printJson } from "../terminal.ts";
import { createTrainingDisplay } from "./display.ts";
import { cutOf, recipeOf, stepsOf, type TrainingFlags } from "./options.ts";
import { trainedWeights } from "./weights.ts";

/** What a command has made ready. */
export interface Prepared {
  readonly device: Device;
  readonly model: Checkpoint;
  /** Examples in memory, or files of tokens with their shares. */
  readonly examples: readonly Example[] | readonly MixturePart[];
  readonly validation: readonly Example[];
  /** Whether an example may go on in the next sequence. */
  readonly manner: "split" | "whole";
  readonly recipe: Recipe;
  /** A text of the model behind a prompt. */
  readonly sample: (llama: Llama, prompt: string, tokens: number, signal: AbortSignal | undefined) => Promise<string>;
}

/** The backend of the options. @throws {PolyllamaError} `ERR_UNSUPPORTED` for one that cannot train */
export async function trainingBackend(flags: TrainingFlags): Promise<Device> {
  const device = await createBackend(flags);
  if (device.features.updates) return device;
  await device[Symbol.asyncDispose]();
  throw new PolyllamaError(
    "ERR_UNSUPPORTED",
    `The ${device.name} backend cannot train: its steps update no parameters. Use another one, such as --backend reference.`,
  );
}

function isMixture(examples: Prepared["examples"]): examples is readonly MixturePart[] {
  return examples.some((each) => "source" in each);
}

/** Files of tokens as data whose epoch is as long as all of them together. */
function mixture(
  parts: readonly MixturePart[],
  options: MixtureBatchesOptions,
): TrainingData & { batchesInEpoch: number } {
  const tokens = parts.reduce((sum, { source }) => sum + source.tokens, 0);
  const batchesInEpoch = Math.ceil(tokens / (options.length * options.sequences));
  return { ...mixtureBatches(parts, options), batchesInEpoch };
}

function sizeOf(examples: Prepared["examples"]): string {
  if (isMixture(examples)) {
    const shares = examples.reduce((sum, { weight = 0 }) => sum + weight, 0);
    return examples
      .map(({ name, source, weight = 0 }) => {
        const share = `${Math.round((100 * weight) / shares)} %`;
        return `${name}: ${plural(source.documents, "document")}, ${plural(source.tokens, "token")}, ${share} of what is seen`;
      })
      .join("; ");
  }
  const tokens = examples.reduce((sum, { ids }) => sum + ids.length, 0);
  return `${plural(examples.length, "example")}, ${plural(tokens, "token")}`;
}

/** Trains, and says how it ended. @throws {Exit} where it was interrupted */
export async function train(prepared: Prepared, flags: TrainingFlags, interrupts: Interrupts): Promise<void> {
  const { device, model, examples, validation, manner } = prepared;
  const { seed, out, json = false, resume = false, saveEvery = 100, keep, report } = flags;
  const cut = cutOf(flags, prepared.recipe, model.config.contextLength);
  const data = isMixture(examples)
    ? mixture(examples, { ...cut, examples: manner, seed })
    : shuffledExamples(examples, { ...cut, examples: manner, seed });
  const steps = stepsOf(flags, prepared.recipe, data.batchesInEpoch);
  const recipe = recipeOf(flags, prepared.recipe, cut, steps);
  const weights = trainedWeights(flags);
  const held = [...packExamples(validation, { length: cut.length, examples: manner })];
  if (!json) {
    for (const line of recipeLines(recipe, prepared.recipe)) print(line);
    note(`${sizeOf(examples)}; ${plural(steps, "step")}`);
  }
  const { validateEvery = saveEvery, sample: prompts = [], sampleEvery = saveEvery, sampleTokens } = flags;
  const make = async (trained: Checkpoint, signal: AbortSignal | undefined): Promise<readonly Sample[]> => {
    await using llama = await Llama.load(trained, { backend: device, ...(signal && { signal }) });
    const samples: Sample[] = [];
    for (const prompt of prompts) {
      samples.push({ prompt, text: await prepared.sample(llama, prompt, sampleTokens, signal) });
    }
    return samples;
  };
  using display = createTrainingDisplay(steps, { json });
  let loss: number | undefined;
  const onEvent = (event: RunEvent): void => {
    if (event.kind === "step") loss = event.loss;
    display.tell(event);
  };
  let reason: unknown;
  const result = await interrupts.stoppable((signal) => {
    signal.addEventListener("abort", () => {
      reason = signal.reason;
      display[Symbol.dispose]();
      if (!json) note("stopping: the step under way is given up and a checkpoint saved; Ctrl-C again ends at once");
    });
    return runTraining({
      device,
      model,
      ...weights,
      data,
      recipe,
      steps,
      folder: out,
      resume,
      seed,
      saveEvery,
      ...(keep !== undefined && { keep }),
      ...(held.length > 0 && { validation: { batches: held.map((each) => [[each]]), every: validateEvery } }),
      ...(prompts.length > 0 && { samples: { every: sampleEvery, make } }),
      report,
      onEvent,
      signal,
    });
  });
  display[Symbol.dispose]();
  const { ended, step, checkpoint } = result;
  if (json) {
    printJson({ ended, step, steps, loss, checkpoint, log: logPath(out), ...(report && { report: reportPath(out) }) });
  } else if (ended === "stopped") {
    const where =
      checkpoint === undefined ? "before its first step" : `after step ${count(step)}, saved as ${checkpoint}`;
    note(`Stopped ${where}. To go on: the same command with --resume.`);
  } else {
    if (report) note(`report: ${reportPath(out)}`);
    if (checkpoint !== undefined) print(checkpoint);
  }
  if (ended === "stopped") throw reason instanceof Exit ? reason : new Exit(130);
}
