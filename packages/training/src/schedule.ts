// The learning rate of a run, step by step: up in a line, then down half a cosine to a part of the peak, where it stays
// (Llama 2, section 2.2).

import { checkOptions, OptionError, type OptionSchema, option } from "@polyllama/core";

/** A linear warm-up and a cosine. */
export interface CosineSchedule {
  /** Largest learning rate, that of step `warmup`. */
  readonly peak: number;
  /** Steps of warm-up; with 0 the peak comes first. */
  readonly warmup: number;
  /** Steps of the run, more than those of the warm-up. */
  readonly total: number;
  /** Part of the peak that the cosine ends at, from 0 to 1. */
  readonly floor: number;
}

const scheduleTypes: OptionSchema<CosineSchedule> = {
  peak: { ...option.number({ least: 0 }), required: true },
  warmup: { ...option.integer({ least: 0 }), required: true },
  total: { ...option.integer({ least: 1 }), required: true },
  floor: { ...option.number({ least: 0, most: 1 }), required: true },
};

/**
 * Checks a schedule.
 *
 * @throws {OptionError} naming the entry that is missing or out of range.
 */
export function checkSchedule(schedule: CosineSchedule): void {
  checkOptions(schedule, scheduleTypes, "schedule");
  const { warmup, total } = schedule;
  if (warmup < total) return;
  const expected = `fewer than the ${total} steps of the run`;
  const message = `schedule: warmup must be ${expected}, not ${warmup}. Warm up for fewer steps, or run longer.`;
  throw new OptionError(message, { option: "warmup", expected, value: warmup });
}

/**
 * The learning rate of a step.
 *
 * @param step Number of the step: the first one of a run is 1, its last one `total`; behind that the rate stays. 0 is
 * where the line of the warm-up begins.
 */
export function learningRate({ peak, warmup, total, floor }: CosineSchedule, step: number): number {
  if (step < warmup) return peak * (step / warmup);
  const angle = (Math.PI * Math.min(step - warmup, total - warmup)) / (total - warmup);
  return peak * (floor + (1 - floor) * 0.5 * (1 + Math.cos(angle)));
}
