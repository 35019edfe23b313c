// A run that survives: what it is killed by, a full disk, a number that overflows, Ctrl-C. All that it needs to go on lies
// in its folder, in the checkpoint that was whole last: `checkpoints/step-*`, `log.jsonl`, `report.html`.

import { mkdir } from "node:fs/promises";
import type { Checkpoint } from "@polyllama/checkpoints";
import {
  checkOptions,
  type LoraOptions,
  type OptionSchema,
  option,
  PolyllamaError,
  parameterCount,
  type WeightPart,
} from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { firstNonFinite, showNonFinite } from "../first-non-finite.ts";
import { totalWeight } from "../loss.ts";
import type { Recipe } from "../recipes.ts";
import { type CosineSchedule, checkSchedule, learningRate } from "../schedule.ts";
import { type Batch, createTrainer, type StepResult, type Trainer } from "../trainer.ts";
import type { JsonValue, TrainingData } from "../training-data.ts";
import { codeOf } from "./files.ts";
import { lockFolder } from "./lock.ts";
import { type LogEntry, openLog, type RunLog, type Sample } from "./log.ts";
import { writeReport } from "./report.ts";
import { openSaved, type SavedRun, saveCheckpoint, savedCheckpoints } from "./saved.ts";
import { type Fingerprints, fingerprintsOf, type RunState, recipeChanges } from "./state.ts";
import { type Subject, subjectOf } from "./subject.ts";

/** What a run does, and where. */
export interface RunOptions {
  readonly device: Device;
  /** What is trained: weights to start from, configuration, tokenizer, chat template. It stays the caller's. */
  readonly model: Checkpoint;
  /**
   * Trains an adapter beside the model, which stays as it is, in whatever format it is stored; checkpoints are then
   * adapters in PEFT's layout. Default: none.
   */
  readonly adapter?: LoraOptions;
  /** Weights of the model's own that train, where not all of them do; excludes `adapter`, which has `trainable`. */
  readonly trained?: readonly WeightPart[];
  readonly data: TrainingData;
  readonly recipe: Recipe;
  /** Steps of the whole run, those included that were done before it goes on. */
  readonly steps: number;
  /** Where checkpoints, log and report lie. */
  readonly folder: string;
  /** Go on with what the folder has; without it a folder with a run is refused. Default false. */
  readonly resume?: boolean;
  /** What all random numbers of the run come from; told and kept. */
  readonly seed: number;
  /** Steps from one checkpoint to the next; the last step has one in any case. Default 100. */
  readonly saveEvery?: number;
  /** Checkpoints that are kept. Default 3. */
  readonly keep?: number;
  /** Batches that are not trained on, whose loss is taken now and then, and after the last step. */
  readonly validation?: { readonly batches: readonly Batch[]; readonly every: number };
  /** What the model writes now and then, and after the last step. */
  readonly samples?: {
    readonly every: number;
    /** Loads the model as it is now, lets it write, and disposes what it loaded. */
    readonly make: (model: Checkpoint, signal: AbortSignal | undefined) => Promise<readonly Sample[]>;
  };
  /** Whether a report is written with each checkpoint. Default true. */
  readonly report?: boolean;
  /** Hears what the log is told, and of checkpoints. */
  readonly onEvent?: (event: RunEvent) => void;
  /** Saves a checkpoint and ends the run. */
  readonly signal?: AbortSignal;
}

/** What a run tells. */
export type RunEvent =
  | LogEntry
  | { readonly kind: "checkpoint"; readonly step: number; readonly path: string }
  /** The run goes on with another recipe: "peak 0.01 -> 0.02". */
  | { readonly kind: "changed"; readonly step: number; readonly changes: readonly string[] };

/** How a run ended. */
export interface RunResult {
  /** `done`: all steps, or the data's last batch; `stopped`: by the signal. */
  readonly ended: "done" | "stopped";
  readonly step: number;
  /** The newest checkpoint; undefined where no step was done. */
  readonly checkpoint: string | undefined;
}

const runOptionTypes: OptionSchema<RunOptions> = {
  device: { ...option.anyObject, required: true },
  model: { ...option.anyObject, required: true },
  adapter: option.anyObject,
  trained: option.anyObject,
  data: { ...option.anyObject, required: true },
  recipe: { ...option.anyObject, required: true },
  steps: { ...option.integer({ least: 1 }), required: true },
  folder: { ...option.nonEmptyString, required: true },
  resume: option.boolean,
  seed: { ...option.integer({ least: 0 }), required: true },
  saveEvery: option.integer({ least: 1 }),
  keep: option.integer({ least: 1 }),
  validation: option.anyObject,
  samples: option.anyObject,
  report: option.boolean,
  onEvent: option.function,
  signal: option.signal,
};

/**
 * Trains until the last step, the last batch or the signal, and saves. Killed at any moment, it goes on with `resume`
 * from the last whole checkpoint with the same steps, on devices that compute the same twice.
 *
 * @throws {OptionError}; `PolyllamaError` `ERR_OPTION` for a folder that has a run, or none to go on with, or one of
 * another model or other data; `ERR_BUSY` where another process trains there; `ERR_OVERFLOW` for a step with NaN or an
 * infinity, which names the value that had it first, after which nothing was updated; `ERR_CHECKPOINT` where the disk is
 * full or fails; what the device throws. In all cases the last checkpoint stays as it was.
 */
export async function runTraining(options: RunOptions): Promise<RunResult> {
  checkOptions(options, runOptionTypes, "runTraining()");
  const { model, data, recipe, steps, folder, resume = false } = options;
  const schedule = { peak: recipe.peak, warmup: recipe.warmup, floor: recipe.floor, total: steps };
  checkSchedule(schedule);
  const subject = subjectOf(model, options);
  const fingerprints = await fingerprintsOf(subject, data.fingerprint);
  await mkdir(folder, { recursive: true });
  await using _ = await lockFolder(folder);
  const newest = (await savedCheckpoints(folder)).at(-1);
  if (newest !== undefined && !resume) {
    const remedy = "Go on with it (resume; --resume on the command line), or give another folder.";
    throw new PolyllamaError(
      "ERR_OPTION",
      `${folder} has a run already, whose last checkpoint is ${newest}. ${remedy}`,
    );
  }
  await using saved = newest === undefined ? undefined : await openSaved(newest, subject, fingerprints);
  await using trainer = await createTrainer(options.device, subject.graph, saved?.source ?? subject.start, {
    optimizer: recipe.optimizer,
    ...(subject.trained && { trained: subject.trained }),
    steps: saved?.state.step ?? 0,
    ...(options.signal && { signal: options.signal }),
  });
  await using log = await openLog(folder, saved?.state.step ?? 0);
  return await new Run(options, { subject, trainer, log, schedule, saved, fingerprints }).go();
}

interface Parts {
  readonly subject: Subject;
  readonly trainer: Trainer;
  readonly log: RunLog;
  readonly schedule: CosineSchedule;
  readonly saved: SavedRun | undefined;
  readonly fingerprints: Fingerprints;
}

/** A run under way; what it holds is `runTraining`'s to free. */
class Run {
  readonly #options: RunOptions;
  readonly #parts: Parts;
  #tokens: number;
  #position: JsonValue | undefined;
  #checkpoint: string | undefined;
  #savedStep: number;

  constructor(options: RunOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
    const { state, path } = parts.saved ?? {};
    this.#tokens = state?.tokens ?? 0;
    this.#position = state?.position;
    this.#checkpoint = path;
    this.#savedStep = state?.step ?? 0;
  }

  async go(): Promise<RunResult> {
    const { data, steps, signal } = this.#options;
    const { trainer } = this.#parts;
    await this.#tell(this.#start());
    const { saved } = this.#parts;
    const changes = saved === undefined ? [] : recipeChanges(saved.state, this.#options.recipe, steps);
    if (changes.length > 0) this.#options.onEvent?.({ kind: "changed", step: trainer.steps, changes });
    if (trainer.steps < steps) {
      for await (const { batch, position } of data.batches(this.#position)) {
        if (signal?.aborted) break;
        const begun = performance.now();
        const step = trainer.steps + 1;
        const result = await this.#step(batch, step);
        if (result === undefined) break;
        this.#position = position;
        await this.#stepped(batch, step, result, (performance.now() - begun) / 1000);
        if (step >= steps || signal?.aborted) break;
      }
    }
    // What could not be looked at before, because the data ended or the run was stopped, belongs to a run that is done.
    const ended = signal?.aborted ? "stopped" : "done";
    if (trainer.steps > this.#savedStep) {
      if (ended === "done" && trainer.steps < steps) await this.#look(trainer.steps);
      await this.#save();
    }
    return { ended, step: trainer.steps, checkpoint: this.#checkpoint };
  }

  /** An update; undefined where the signal stopped it. */
  async #step(batch: Batch, step: number): Promise<StepResult | undefined> {
    const { signal } = this.#options;
    const { trainer, schedule } = this.#parts;
    try {
      const result = await trainer.step(batch, learningRate(schedule, step), signal);
      if (Number.isFinite(result.loss) && Number.isFinite(result.norm)) return result;
      throw new PolyllamaError("ERR_OVERFLOW", `The gradients' norm is ${result.norm}`);
    } catch (error) {
      if (signal?.aborted && trainer.steps < step) return undefined;
      const isOverflow = error instanceof PolyllamaError && ["ERR_OVERFLOW", "ERR_BACKEND"].includes(error.code);
      throw isOverflow ? await this.#explained(error, batch, step) : error;
    }
  }

  /** What a step failed at, with the value that it began with. */
  async #explained(error: PolyllamaError, batch: Batch, step: number): Promise<PolyllamaError> {
    const { device } = this.#options;
    const { subject, trainer } = this.#parts;
    const parts = batch.filter((packed) => packed.some(({ tokens }) => tokens.length > 0));
    const found = await firstNonFinite(device, subject.graph, trainer.export(), parts, subject.trained).catch(
      () => undefined,
    );
    if (found === undefined && error.code !== "ERR_OVERFLOW") return error;
    const what = found === undefined ? "The loss or the gradients' norm overflows" : showNonFinite(found);
    const message = `Step ${step}: ${what}. Nothing of this step was saved. ${this.#wayBack()}`;
    const remedy = "Use a smaller learning rate or other data.";
    return new PolyllamaError("ERR_OVERFLOW", `${message} ${remedy}`, { cause: error });
  }

  async #stepped(batch: Batch, step: number, { loss, norm }: StepResult, seconds: number): Promise<void> {
    const { saveEvery = 100, steps } = this.#options;
    const rows = batch.reduce((sum, packed) => packed.reduce((all, { tokens }) => all + tokens.length, sum), 0);
    this.#tokens += rows;
    await this.#tell({
      kind: "step",
      step,
      loss,
      rate: learningRate(this.#parts.schedule, step),
      norm,
      tokens: this.#tokens,
      tokensPerSecond: Number((rows / seconds).toPrecision(6)),
      time: new Date().toISOString(),
    });
    await this.#look(step);
    if (step % saveEvery === 0 || step === steps) await this.#save();
  }

  /** Validation and samples, where it is their turn. */
  async #look(step: number): Promise<void> {
    const { validation, samples, steps, signal } = this.#options;
    const { subject, trainer } = this.#parts;
    const isTurn = (every: number): boolean => !signal?.aborted && (step % every === 0 || step === steps);
    try {
      if (validation !== undefined && validation.batches.length > 0 && isTurn(validation.every)) {
        let [sum, weight] = [0, 0];
        for (const batch of validation.batches) {
          const total = batch.reduce((all, packed) => all + totalWeight(packed), 0);
          sum += total * (await trainer.evaluate(batch, signal));
          weight += total;
        }
        await this.#tell({ kind: "validation", step, loss: sum / weight });
      }
      if (samples !== undefined && isTurn(samples.every)) {
        const made = await samples.make(subject.model(trainer.export()), signal);
        await this.#tell({ kind: "samples", step, samples: made });
      }
    } catch (error) {
      if (!signal?.aborted) throw error;
    }
  }

  async #save(): Promise<void> {
    const { recipe, seed, steps, folder, keep = 3, report = true } = this.#options;
    const { subject, trainer, log, fingerprints } = this.#parts;
    const step = trainer.steps;
    const state: RunState = {
      version: 1,
      step,
      tokens: this.#tokens,
      position: this.#position,
      seed,
      recipe,
      steps,
      fingerprints,
    };
    await this.#onDisk(async () => {
      await log.sync(); // the log has all steps that a checkpoint has
      this.#checkpoint = await saveCheckpoint(folder, { subject, trained: trainer.export(), state }, keep);
      this.#savedStep = step;
      if (report) await writeReport(folder);
    });
    this.#options.onEvent?.({ kind: "checkpoint", step, path: this.#checkpoint ?? folder });
  }

  #start(): LogEntry {
    const { device, model, seed, steps, recipe } = this.#options;
    const info = device.describe();
    return {
      kind: "start",
      step: this.#parts.trainer.steps,
      time: new Date().toISOString(),
      backend: info.backend,
      device: info.device,
      parameters: parameterCount(model.config),
      seed,
      steps,
      recipe,
    };
  }

  async #tell(entry: LogEntry): Promise<void> {
    await this.#onDisk(() => this.#parts.log.append(entry));
    this.#options.onEvent?.(entry);
  }

  /** Something that needs the disk. @throws {PolyllamaError} `ERR_CHECKPOINT` saying what is left of the run */
  async #onDisk(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      const code = codeOf(error) ?? codeOf(error instanceof Error ? error.cause : undefined);
      const isKnown = error instanceof PolyllamaError && error.code === "ERR_CHECKPOINT";
      if (code === undefined && !isKnown) throw error;
      const what = isKnown ? error.message : `${this.#options.folder}: it cannot be written (${code}).`;
      const remedy = code === "ENOSPC" && !isKnown ? " Free some space on the disk." : "";
      const message = `${what}${remedy} The run ends at step ${this.#parts.trainer.steps}. ${this.#wayBack()}`;
      throw new PolyllamaError("ERR_CHECKPOINT", message, { cause: error });
    }
  }

  #wayBack(): string {
    if (this.#checkpoint === undefined) return "There is no checkpoint yet.";
    return `The last good checkpoint is ${this.#checkpoint}; the run goes on from it (resume; --resume on the command line).`;
  }
}
