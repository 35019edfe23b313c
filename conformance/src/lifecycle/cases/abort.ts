// Runs that are aborted while they wait, while they compute and before they begin: when the abort is heard, and what it
// leaves behind.

import { must, mustEqual } from "../../must.ts";
import { compile, lastLogits, logits, model, settle, step } from "../subject.ts";
import type { LifecycleCase } from "./case.ts";

const long = 700;
const reason = new Error("enough");

export const abortCases: readonly LifecycleCase[] = [
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
];
