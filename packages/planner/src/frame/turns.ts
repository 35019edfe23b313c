// One step after another on a device, in the order of submission.

import { TurnQueue } from "@polyllama/core";

/** The queue of a device's steps. */
export class StepQueue {
  readonly #turns = new TurnQueue();
  /** Steps whose outputs are not there yet. */
  readonly #underWay = new Set<Promise<unknown>>();

  /** Begins an action when all earlier ones let it. @throws the signal's reason, when it is aborted before that */
  async begin<Result>(signal: AbortSignal | undefined, action: () => Promise<Result>): Promise<Result> {
    return this.#turns.run(signal, action);
  }

  /** Counts a step as under way until its promise settles. */
  follow(step: Promise<unknown>): void {
    this.#underWay.add(step);
    const end = (): void => void this.#underWay.delete(step);
    step.then(end, end);
  }

  /** Resolves when all steps that were submitted until now have ended. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#underWay);
  }
}
