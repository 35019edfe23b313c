// Generations whose tokens are chosen on the device: disposed, left and aborted while a token is under way.

import type { Program, SampleRun } from "@polyllama/core";
import { must, mustEqual, mustThrow } from "../../must.ts";
import { compile, lastLogits, logits, sampling, step, tokens } from "../subject.ts";
import type { LifecycleCase } from "./case.ts";

const reason = new Error("enough");

/** A generation of which one token was taken. */
async function begunGeneration(program: Program) {
  const run: SampleRun = { cache: program.createCache(64), tokens: tokens(3), sampling, count: 40 };
  const generation = program.sample!(run); // of cases that sample
  must((await generation.next()).done !== true, "a generation yields a token");
  return generation;
}

export const samplingCases: readonly LifecycleCase[] = [
  {
    name: "disposing a program ends a generation that nobody continues",
    samples: true,
    async run(backend) {
      const program = await compile(backend);
      const generation = await begunGeneration(program);
      await program[Symbol.asyncDispose]();
      await mustThrow("ERR_DISPOSED", () => generation.next(), "the generation goes on");
    },
  },
  {
    name: "disposing a program within the loop over a generation ends the loop",
    samples: true,
    async run(backend) {
      const program = await compile(backend);
      const run: SampleRun = { cache: program.createCache(64), tokens: tokens(3), sampling, count: 40 };
      let taken = 0;
      const loop = async (): Promise<void> => {
        for await (const _ of program.sample!(run)) if (++taken === 3) await program[Symbol.asyncDispose](); // a case that samples
      };
      await mustThrow("ERR_DISPOSED", loop, "the loop goes on");
      must(taken === 3, `${taken} tokens came, not 3`);
    },
  },
  {
    name: "disposing a program while a token is under way rejects whoever waits for it, or gives it",
    samples: true,
    async run(backend) {
      const program = await compile(backend);
      const generation = await begunGeneration(program);
      const [token] = await Promise.allSettled([generation.next(), program[Symbol.asyncDispose]()]);
      if (token.status === "rejected") {
        await mustThrow("ERR_DISPOSED", () => Promise.reject(token.reason), "the token under way");
      }
      await mustThrow("ERR_DISPOSED", () => generation.next(), "the generation goes on").catch(
        async (error: unknown) => {
          if (token.status !== "rejected") throw error;
          must((await generation.next()).done === true, "a generation that threw is over");
        },
      );
    },
  },
  {
    name: "a generation that is left gives its cache back, and others run meanwhile",
    samples: true,
    async run(backend) {
      await using program = await compile(backend);
      using cache = program.createCache(64);
      const expected = await logits(program, step(5));
      for await (const _ of program.sample!({ cache, tokens: tokens(3), sampling, count: 40 })) {
        // a case that samples
        await mustThrow("ERR_BUSY", () => program.run(step(1, cache), lastLogits), "a run of the generation's cache");
        mustEqual(await logits(program, step(5)), expected, "a run within a generation");
        break;
      }
      must(cache.length === 3, "the cache holds what was taken, less its last token");
      cache.truncate(0);
      must((await logits(program, step(2, cache))).length > 0, "the cache is free again");
    },
  },
  {
    name: "a generation that is aborted before its first token leaves its cache as it was",
    samples: true,
    async run(backend) {
      await using program = await compile(backend);
      using cache = program.createCache(64);
      await logits(program, step(2, cache));
      const controller = new AbortController();
      const { signal } = controller;
      const generation = program.sample!({ cache, tokens: tokens(3), sampling, count: 40 }, { signal }); // a case that samples
      const first = generation.next().catch((error: unknown) => error);
      controller.abort(reason);
      must((await first) === reason, "it throws the signal's reason");
      must(cache.length === 2, `the cache holds what it held, not ${cache.length} positions`);
    },
  },
  {
    name: "an aborted generation throws the signal's reason, and gives its cache back",
    samples: true,
    async run(backend) {
      await using program = await compile(backend);
      using cache = program.createCache(64);
      const controller = new AbortController();
      const { signal } = controller;
      let caught: unknown;
      try {
        for await (const _ of program.sample!({ cache, tokens: tokens(3), sampling, count: 40 }, { signal }))
          controller.abort(reason); // a case that samples
      } catch (error) {
        caught = error;
      }
      must(caught === reason, `it throws the reason, not ${String(caught)}`);
      cache.truncate(0);
      must((await logits(program, step(2, cache))).length > 0, "the cache is free again");
    },
  },
];
