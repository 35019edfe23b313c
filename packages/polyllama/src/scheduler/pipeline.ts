// A step, and those that follow from it. As long as nothing changes, the tokens that the device drew are the next step's
// input before the host has seen them, with as many steps under way as the device wants.

import type { OutputValue, Submission } from "@polyllama/core/device";
import type { SequenceModel } from "../sequence-model.ts";
import type { Part } from "./requests.ts";
import { stepOf } from "./step.ts";

/** What decides how steps go on, and what becomes of what they give. */
export interface StepEvents {
  /** Whether the next step is surely one more row of each part, while so many are under way. */
  goesOn(parts: readonly Part[], underWay: number): boolean;
  /** What a step gave. Steps are taken in their order. */
  take(parts: readonly Part[], values: readonly OutputValue[]): void;
}

interface Flight {
  readonly parts: readonly Part[];
  readonly submission: Submission;
}

/**
 * Runs steps until something changes. None is under way then.
 *
 * @throws what a step throws. Steps before it have been taken, and those behind it have failed with it.
 */
export async function runSteps(parts: readonly Part[], model: SequenceModel, events: StepEvents): Promise<void> {
  const { stepsAhead } = model.device.features;
  const again = parts.map((part): Part => ({ ...part, rows: 1 }));
  const flights: Flight[] = [];
  let last: Submission["tokens"];
  const submit = (next: readonly Part[]): void => {
    const submission = model.program.submit(stepOf(next, model, last));
    last?.[Symbol.dispose](); // its step holds it as long as it needs it
    last = submission.tokens;
    flights.push({ parts: next, submission });
  };
  try {
    submit(parts);
    for (let first = flights[0]; first !== undefined; first = flights[0]) {
      while (flights.length < stepsAhead && events.goesOn(parts, flights.length)) submit(again);
      const values = await first.submission.result;
      flights.shift();
      events.take(first.parts, values);
      if (flights.length === 0 && events.goesOn(parts, 0)) submit(again);
    }
  } catch (error) {
    const results = await Promise.allSettled(flights.map(({ submission }) => submission.result));
    for (const [i, result] of results.entries()) {
      if (result.status === "rejected") break;
      events.take(flights[i]!.parts, result.value); // one for each
    }
    throw error;
  } finally {
    last?.[Symbol.dispose]();
  }
}
