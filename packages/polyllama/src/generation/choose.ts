// Choosing tokens: on the device that has the logits, several steps ahead, or here from logits that are read back.
// Either way the work per token does not depend on how long the text is.

import { logprobs, PolyllamaError, type RealArray, type Sampler, TokenHistory } from "@polyllama/core";
import type { Submission } from "@polyllama/core/device";
import type { Choice } from "./generate.ts";

/** Logits [V] for the token that comes next, after one more token or, at first, after the prompt. */
export type NextLogits = (chosen: number | undefined) => Promise<RealArray>;

/** Chooses from logits on the host. */
export async function* chooseOnHost(
  next: NextLogits,
  prompt: readonly number[],
  sampler: Sampler,
  alternatives: number | undefined,
): AsyncGenerator<Choice, void, undefined> {
  const history = new TokenHistory(prompt);
  for (let chosen: number | undefined; ; ) {
    const logits = await next(chosen); // [V]
    chosen = sampler.sampleAfter(logits, history);
    history.push(chosen);
    yield { id: chosen, ...(alternatives === undefined ? {} : logprobs(logits, chosen, alternatives)) };
  }
}

/**
 * Submits a step that reads the last step's token, or the prompt's rest where there is none, and draws the next one.
 */
export type NextStep = (last: Submission["tokens"]) => Submission;

/**
 * Tokens that the device draws.
 *
 * @param ahead Steps under way at once.
 * @param finished Called when all steps have ended, with the number of tokens that were taken.
 */
export async function* chooseOnDevice(
  next: NextStep,
  count: number,
  ahead: number,
  finished: (taken: number) => void,
): AsyncGenerator<Choice, void, undefined> {
  const underWay: Submission[] = [];
  let last: Submission["tokens"];
  let taken = 0;
  try {
    for (let submitted = 0; taken < count; ) {
      for (; submitted < count && underWay.length < ahead; submitted++) {
        const step = next(last);
        last?.[Symbol.dispose](); // its step holds it as long as it needs it
        last = step.tokens;
        underWay.push(step);
      }
      const [value] = await underWay[0]!.result; // at least one is under way
      underWay.shift();
      if (value?.to !== "token") throw new PolyllamaError("ERR_BACKEND", "The device drew no token.");
      taken++;
      yield { id: value.tokens[0]! }; // one row was drawn from
    }
  } finally {
    last?.[Symbol.dispose]();
    await Promise.allSettled(underWay.map(({ result }) => result));
    finished(taken);
  }
}
