// What a backend does when runs are aborted, disposed, repeated or at once: rules of the contract that have nothing to do with numbers. A
// case throws when a rule is broken. Nothing here depends on how fast a device is: where one thing has to come before another,
// it needs nothing but turns of the microtask queue, and the other one does.

import type { Backend, Program, SampleRun } from "@polyllama/core";
import { must, mustEqual, mustThrow } from "../must.ts";
import { compile, lastLogits, logits, model, sampling, settle, step, tokens } from "./subject.ts";

export interface LifecycleCase {
  readonly name: string;
  /** Whether it is about choosing tokens on the device. */
  readonly samples?: true;
  run(backend: Backend): Promise<void>;
}

const long = 700;
const reason = new Error("enough");

/** A generation of which one token was taken. */
async function begunGeneration(program: Program) {
  const run: SampleRun = { cache: program.createCache(64), tokens: tokens(3), sampling, count: 40 };
  const generation = program.sample!(run); // of cases that sample
  must((await generation.next()).done !== true, "a generation yields a token");
  return generation;
}

export const lifecycleCases: readonly LifecycleCase[] = [
  {
    name: "an abort is heard while a run waits for another one",
    async run(backend) {
      await using program = await compile(backend);
      const order: string[] = [];
      const first = program.run(step(200), lastLogits).finally(() => order.push("the first run ends"));
      const controller = new AbortController();
      const waiting = program.run(step(4), lastLogits, { signal: controller.signal });
      const heard = waiting.catch((error: unknown) => {
        order.push("the waiting one is refused");
        return error;
      });
      await settle();
      controller.abort(reason);
      must((await heard) === reason, "an aborted run rejects with the signal's reason");
      await first;
      mustEqual(
        order,
        ["the waiting one is refused", "the first run ends"],
        "an aborted run does not wait for its turn",
      );
    },
  },
  {
    name: "a run that was aborted while it waited leaves its cache, and lets the next ones through",
    async run(backend) {
      await using program = await compile(backend);
      using cache = program.createCache(16);
      using other = program.createCache(16);
      const expected = await logits(program, step(5));
      const first = program.run(step(long), lastLogits);
      const controller = new AbortController();
      const waiting = program.run(step(5, cache), lastLogits, { signal: controller.signal });
      const next = logits(program, step(5, other));
      controller.abort(reason);
      const [outcome] = await Promise.allSettled([waiting]);
      const ended = outcome.status === "fulfilled" ? 5 : 0;
      must(cache.length === ended, "an aborted run leaves its cache as it was");
      mustEqual(await next, expected, "the run behind an aborted one is right");
      await first;
      cache.truncate(0);
      mustEqual(await logits(program, step(5, cache)), expected, "the cache of an aborted run is usable");
    },
  },
  {
    name: "a run that is aborted while it computes leaves its cache",
    async run(backend) {
      await using program = await compile(backend);
      using cache = program.createCache(long + 20);
      await logits(program, step(5, cache));
      const expected = await logits(program, step(7, cache));
      cache.truncate(5);
      const controller = new AbortController();
      const running = program.run(step(long, cache), lastLogits, { signal: controller.signal });
      setTimeout(() => controller.abort(reason), 1);
      const [outcome] = await Promise.allSettled([running]);
      if (outcome.status === "rejected") must(outcome.reason === reason, "it rejects with the signal's reason");
      must(
        cache.length === (outcome.status === "rejected" ? 5 : 5 + long),
        "an aborted run leaves its cache as it was",
      );
      cache.truncate(5);
      mustEqual(await logits(program, step(7, cache)), expected, "the cache of an aborted run is usable");
    },
  },
  {
    name: "a signal that is aborted already refuses everything at once",
    async run(backend) {
      await using program = await compile(backend);
      const signal = AbortSignal.abort(reason);
      const [run] = await Promise.allSettled([program.run(step(3), lastLogits, { signal })]);
      must(run.status === "rejected" && run.reason === reason, "run");
      const { graph, weights } = model();
      const [compiled] = await Promise.allSettled([backend.compile(graph, weights, { signal })]);
      must(compiled.status === "rejected" && compiled.reason === reason, "compile");
    },
  },
  {
    name: "runs at once give what they give alone",
    async run(backend) {
      await using program = await compile(backend);
      const sizes = [3, 130, 1, 40, 300, 2];
      const alone: (readonly number[])[] = [];
      for (const size of sizes) alone.push(await logits(program, step(size)));
      const caches = sizes.map(() => program.createCache(512));
      const together = await Promise.all(sizes.map((size, i) => logits(program, step(size, caches[i]))));
      const again = await Promise.all(sizes.map((size) => logits(program, step(size))));
      for (const [i, size] of sizes.entries()) {
        mustEqual(again[i], alone[i], `${size} rows without a cache`);
        must(caches[i]!.length === size, "each cache advances by its own rows"); // one for each size
        must(together[i]!.length === alone[i]!.length, "logits"); // likewise; their values are conformance's
      }
      for (const cache of caches) cache[Symbol.dispose]();
    },
  },
  {
    name: "a cache serves one run at a time, and the refused one does no harm",
    async run(backend) {
      await using program = await compile(backend);
      using cache = program.createCache(64);
      const expected = await logits(program, step(9));
      const first = logits(program, step(9, cache));
      await mustThrow("ERR_BUSY", () => program.run(step(2, cache), lastLogits), "a second run of a cache");
      await mustThrow("ERR_BUSY", () => cache.truncate(0), "truncate in a run");
      await mustThrow("ERR_BUSY", () => cache.fork(), "fork in a run");
      must((await first).length === expected.length, "the first run ends");
      must(cache.length === 9, "the first run alone advances the cache");
    },
  },
  {
    name: "a cache that is disposed in a run is freed after it, and refuses the next",
    async run(backend) {
      await using program = await compile(backend);
      const cache = program.createCache(64);
      const running = logits(program, step(9, cache));
      cache[Symbol.dispose]();
      must((await running).length > 0, "the run ends");
      await mustThrow("ERR_DISPOSED", () => program.run(step(1, cache), lastLogits), "run with a disposed cache");
      cache[Symbol.dispose]();
    },
  },
  {
    name: "what a step declares wrongly is refused, and its caches stay as they were",
    async run(backend) {
      await using program = await compile(backend);
      await using other = await compile(backend);
      using cache = program.createCache(8);
      using foreign = other.createCache(8);
      const inputs = { tokens: tokens(4) };
      for (const position of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32]) {
        const given = { inputs, batch: [{ rows: 4, position }] };
        await mustThrow("ERR_GRAPH", () => program.run(given, lastLogits), `position ${position}`);
      }
      const wrong = [
        { inputs, batch: [{ rows: 3 }] },
        { inputs, batch: [{ rows: 0 }, { rows: 4 }] },
        { inputs, batch: [{ rows: 4, cache: foreign }] },
        {
          inputs,
          batch: [
            { rows: 2, cache },
            { rows: 2, cache },
          ],
        },
        { inputs, batch: [{ rows: 4, cache, position: 2 }] },
        { inputs: { tokens: Int32Array.of(1, 2, 97, 3) }, batch: [{ rows: 4, cache }] },
        { inputs: { tokens: Int32Array.of(1, -1, 2, 3) }, batch: [{ rows: 4, cache }] },
        { inputs: {}, batch: [{ rows: 4, cache }] },
      ];
      for (const [i, given] of wrong.entries()) {
        await mustThrow("ERR_GRAPH", () => program.run(given, lastLogits), `wrong step ${i}`);
      }
      await mustThrow("ERR_CONTEXT", () => program.run(step(9, cache), lastLogits), "more rows than capacity");
      await mustThrow("ERR_GRAPH", () => program.run(step(2, cache), ["no such value"]), "a value that there is not");
      must(cache.length === 0 && foreign.length === 0, "refused steps leave caches as they were");
      must((await logits(program, step(8, cache))).length > 0, "and usable");
    },
  },
  {
    name: "options that nothing honours are refused",
    async run(backend) {
      await using program = await compile(backend);
      const unknown: Readonly<Record<string, unknown>> = { colour: "blue" };
      await mustThrow("ERR_OPTION", () => program.run(step(1), lastLogits, unknown), "run");
      await mustThrow("ERR_OPTION", () => program.createCache(4, unknown), "createCache");
      for (const capacity of [0, -1, 1.5, Number.NaN]) {
        await mustThrow("ERR_OPTION", () => program.createCache(capacity), `a capacity of ${capacity}`);
      }
      const { graph, weights } = model();
      await mustThrow("ERR_OPTION", () => backend.compile(graph, weights, unknown), "compile");
      const wanted = ["no such value"];
      await mustThrow(
        "ERR_GRAPH",
        () => backend.compile(graph, weights, { wanted }),
        "compile for a value that there is not",
      );
    },
  },
  {
    name: "disposing a program waits for its runs, and ends what comes after",
    async run(backend) {
      const program = await compile(backend);
      const cache = program.createCache(long);
      const order: string[] = [];
      const running = program.run(step(long, cache), lastLogits).then(
        () => order.push("run"),
        () => order.push("run"),
      );
      const disposals = [1, 2].map(() =>
        Promise.resolve(program[Symbol.asyncDispose]()).then(() => order.push("dispose")),
      );
      await mustThrow("ERR_DISPOSED", () => program.run(step(1), lastLogits), "run of a disposed program");
      await mustThrow("ERR_DISPOSED", () => program.createCache(4), "createCache of a disposed program");
      await Promise.all([running, ...disposals]);
      mustEqual(order, ["run", "dispose", "dispose"], "every disposal ends after the run");
      await mustThrow(
        "ERR_DISPOSED",
        () => program.run(step(1, cache), lastLogits),
        "run with a cache of a disposed program",
      );
      await program[Symbol.asyncDispose]();
    },
  },
  {
    name: "runs that wait when a program is disposed end, one way or the other",
    async run(backend) {
      const program = await compile(backend);
      const runs = [1, 2, 3].map((rows) => program.run(step(rows * 100), lastLogits));
      const [outcomes] = await Promise.all([Promise.allSettled(runs), program[Symbol.asyncDispose]()]);
      for (const outcome of outcomes) {
        const code =
          outcome.status === "rejected" ? (outcome.reason as { readonly code?: string }).code : "ERR_DISPOSED"; // read only
        must(code === "ERR_DISPOSED", `a waiting run ends, or says that the program was disposed: ${code}`);
      }
    },
  },
  {
    name: "a program works on when another one of its backend is disposed",
    async run(backend) {
      await using program = await compile(backend);
      const expected = await logits(program, step(5));
      const other = await compile(backend);
      const running = logits(program, step(5));
      await other[Symbol.asyncDispose]();
      mustEqual(await running, expected, "a run under way");
      mustEqual(await logits(program, step(5)), expected, "a run after it");
    },
  },
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
