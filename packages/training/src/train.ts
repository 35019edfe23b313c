// A run: batch after batch, each at its learning rate.

import { type CosineSchedule, checkSchedule, learningRate } from "./schedule.ts";
import type { Batch, StepResult, Trainer } from "./trainer.ts";

/** A step of a run. */
export interface TrainedStep extends StepResult {
  /** From 1. */
  readonly step: number;
  readonly rate: number;
}

/**
 * Trains until the batches end, or the schedule's steps; a trainer that has some steps behind it goes on with the next.
 * Whoever stops asking stops the run between two steps.
 *
 * @throws {OptionError} for a schedule that is none; what `Trainer.step` throws.
 */
export async function* train(
  trainer: Trainer,
  batches: Iterable<Batch> | AsyncIterable<Batch>,
  schedule: CosineSchedule,
  signal?: AbortSignal,
): AsyncGenerator<TrainedStep, void, undefined> {
  checkSchedule(schedule);
  if (trainer.steps >= schedule.total) return;
  for await (const batch of batches) {
    const step = trainer.steps + 1;
    const rate = learningRate(schedule, step);
    yield { step, rate, ...(await trainer.step(batch, rate, signal)) };
    if (step >= schedule.total) return;
  }
}
