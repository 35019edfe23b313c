// Generations whose tokens are chosen on the device, several steps under way: left, aborted, and ended with their
// program.

import type { LoadedGraph, Program, SequenceCache, Submission } from "@polyllama/core/device";
import { must, mustEqual, mustThrow } from "../must.ts";
import type { DeviceCase } from "./case.ts";
import { decode, draws, load, logits, drawsTokens as needs, step, tokens, tokensOf } from "./subject.ts";

const reason = new Error("enough");

/** A prompt of three tokens, of which the next one is drawn. */
function begin(program: Program, cache: SequenceCache, signal?: AbortSignal): Submission {
  return program.submit(step([{ cache, tokens: tokens(3) }], [draws(1)]), signal);
}

/** The step that reads the token that another one draws, and draws the next. */
function follow(program: Program, cache: SequenceCache, before: Submission, signal?: AbortSignal): Submission {
  using drawn = before.tokens!; // it draws one
  return program.submit(decode(drawn, [cache], [draws(1)]), signal);
}

/** So many steps, all of them under way. */
function chain(program: Program, cache: SequenceCache, count: number, signal?: AbortSignal): readonly Submission[] {
  const steps = [begin(program, cache, signal)];
  while (steps.length < count) steps.push(follow(program, cache, steps.at(-1)!, signal)); // there is one
  steps.at(-1)!.tokens?.[Symbol.dispose](); // which nobody reads
  return steps;
}

/** The token that a step drew. */
async function take({ result }: Submission): Promise<number> {
  return tokensOf((await result)[0])[0]!; // one sequence
}

/** What steps end with where nobody takes their tokens. */
async function outcomes(steps: readonly Submission[]) {
  return Promise.allSettled(steps.map(({ result }) => result));
}

/** A device's model, a sequence, and a program of its own. */
async function subjects(subject: LoadedGraph) {
  const { device, graph, parameters } = subject;
  return { cache: subject.pool(64).open(), program: await device.compile(graph, parameters) };
}

export const chainCases: readonly DeviceCase[] = [
  {
    name: "disposing a program ends a generation that nobody continues",
    needs,
    async run(device) {
      await using subject = await load(device);
      const { cache, program } = await subjects(subject);
      const steps = chain(program, cache, 4);
      await take(steps[0]!); // of four
      await program[Symbol.asyncDispose]();
      const rejected = (await outcomes(steps)).filter(({ status }) => status === "rejected");
      must(cache.length === 6 - rejected.length, "the cache holds what was computed");
      await mustThrow("ERR_DISPOSED", () => begin(program, cache), "the generation goes on");
    },
  },
  {
    name: "disposing a program within the loop over a generation ends the loop",
    needs,
    async run(device) {
      await using subject = await load(device);
      const { cache, program } = await subjects(subject);
      const ahead: Submission[] = [begin(program, cache)];
      let taken = 0;
      const loop = async (): Promise<void> => {
        while (taken < 40) {
          ahead.push(follow(program, cache, ahead.at(-1)!)); // one is under way
          await take(ahead.shift()!); // likewise
          if (++taken === 3) await program[Symbol.asyncDispose]();
        }
      };
      await mustThrow("ERR_DISPOSED", loop, "the loop goes on");
      must(taken === 3, `${taken} tokens came, not 3`);
      ahead.at(-1)?.tokens?.[Symbol.dispose]();
    },
  },
  {
    name: "disposing a program while a token is under way rejects whoever waits for it, or gives it",
    needs,
    async run(device) {
      await using subject = await load(device);
      const { cache, program } = await subjects(subject);
      const [first, second] = chain(program, cache, 2) as [Submission, Submission]; // two
      await take(first);
      const [token] = await Promise.allSettled([take(second), program[Symbol.asyncDispose]()]);
      if (token.status === "rejected") {
        await mustThrow("ERR_DISPOSED", () => Promise.reject(token.reason), "the token under way");
      }
      must(cache.length === (token.status === "rejected" ? 3 : 4), "the cache holds what was computed");
    },
  },
  {
    name: "what was drawn beyond the last token that is taken is forgotten by a truncation, and others run meanwhile",
    needs,
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const pool = subject.pool(64, { sequences: 2 });
      const cache = pool.open();
      const expected = await logits(program, undefined, tokens(5));
      const steps = chain(program, cache, 5);
      const first = await take(steps[0]!); // of five
      mustEqual(await logits(program, undefined, tokens(5)), expected, "a step within a generation");
      cache.truncate(3);
      const after = logits(program, cache, Int32Array.of(first, 5));
      must(cache.length === 5, "the cache holds what was taken, and what follows");
      await outcomes(steps);
      const alone = pool.open();
      await logits(program, alone, tokens(3));
      mustEqual(await after, await logits(program, alone, Int32Array.of(first, 5)), "what follows");
    },
  },
  {
    name: "a generation that is aborted before its first token leaves its cache as it was",
    needs,
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const cache = subject.pool(64).open();
      await logits(program, cache, tokens(2));
      const controller = new AbortController();
      const steps = chain(program, cache, 3, controller.signal);
      controller.abort(reason);
      for (const outcome of await outcomes(steps)) {
        must(outcome.status === "rejected" && outcome.reason === reason, "each step throws the signal's reason");
      }
      must(cache.length === 2, `the cache holds what it held, not ${cache.length} positions`);
    },
  },
  {
    name: "an aborted generation throws the signal's reason, and gives its cache back",
    needs,
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const cache = subject.pool(64).open();
      const controller = new AbortController();
      const steps = chain(program, cache, 40, controller.signal);
      await take(steps[0]!); // of forty
      controller.abort(reason);
      const ends = await outcomes(steps);
      const kept = ends.findIndex(({ status }) => status === "rejected");
      must(kept > 0, "steps under way end");
      for (const end of ends.slice(kept)) {
        must(end.status === "rejected" && end.reason === reason, "they throw the signal's reason");
      }
      must(cache.length === 2 + kept, "the cache holds what was computed before");
      cache.truncate(0);
      must((await logits(program, cache, tokens(2))).length > 0, "the cache is free again");
    },
  },
];
