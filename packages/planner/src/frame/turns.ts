// One step after another on a device, in the order of submission.

import { TurnQueue } from "./turn-queue.ts";
import { UnderWay } from "./under-way.ts";

/** The queue of a device's steps. */
export class StepQueue {
  readonly #turns = new TurnQueue();
  /** Steps whose outputs are not there yet. */
  readonly underWay: UnderWay = new UnderWay();

  /** Begins an action when all earlier ones let it. @throws the signal's reason, when it is aborted before that */
  async begin<Result>(signal: AbortSignal | undefined, action: () => Promise<Result>): Promise<Result> {
    return this.#turns.run(signal, action);
  }
}
