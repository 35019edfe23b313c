// Caches, programs and devices that are disposed while something runs, waits or loads: what is under way ends, nothing
// hangs, and what comes after is refused.

import { must, mustEqual, mustThrow } from "../must.ts";
import type { DeviceCase } from "./case.ts";
import { codeOf, load, logits, long, model, step, tokens } from "./subject.ts";

export const disposeCases: readonly DeviceCase[] = [
  {
    name: "a cache that is disposed while its step is under way is freed after it, and refuses the next",
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const pool = subject.pool(64);
      const cache = pool.open();
      const expected = await logits(program, undefined, tokens(9));
      const running = logits(program, cache, tokens(9));
      cache[Symbol.dispose]();
      must((await running).length === expected.length, "the step ends");
      await mustThrow("ERR_DISPOSED", () => logits(program, cache, tokens(1)), "a step with a disposed cache");
      cache[Symbol.dispose]();
      must(pool.freeBlocks === pool.blocks, "its blocks are free");
    },
  },
  {
    name: "a pool that is disposed while a step uses it is freed after it",
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      await logits(program, undefined, tokens(long)); // programs keep what they compute so many rows in
      const before = (await device.memory()).allocated;
      const pool = subject.pool(long);
      const cache = pool.open();
      const running = program.submit(step([{ cache, tokens: tokens(long) }])).result;
      pool[Symbol.dispose]();
      pool[Symbol.dispose]();
      must((await running).length === 1, "the step ends");
      await mustThrow("ERR_DISPOSED", () => pool.open(), "open");
      await mustThrow("ERR_DISPOSED", () => logits(program, cache, tokens(1)), "a step with a cache of it");
      const left = (await device.memory()).allocated - before;
      must(left < pool.bytes, `${left} bytes are left of it`);
    },
  },
  {
    name: "disposing a program ends its steps, and leaves pools and other programs alone",
    async run(device) {
      await using subject = await load(device);
      const { program, parameters } = subject;
      const pool = subject.pool(long + 10, { sequences: 2 });
      const cache = pool.open();
      const other = await device.compile(program.graph, parameters);
      const expected = await logits(program, undefined, tokens(4));
      const order: string[] = [];
      const steps = [{ cache, tokens: tokens(long) }, { cache, tokens: tokens(3) }, { tokens: tokens(100) }].map(
        (each) => other.submit(step([each])).result.finally(() => order.push("step")),
      );
      const running = logits(program, undefined, tokens(4));
      const disposals = [1, 2].map(async () => {
        await other[Symbol.asyncDispose]();
        order.push("dispose");
      });
      const [outcomes] = await Promise.all([Promise.allSettled(steps), ...disposals]);
      for (const outcome of outcomes) {
        const code = codeOf(outcome);
        must(code === "ERR_DISPOSED", `a step under way ends with ${code}`);
      }
      mustEqual(order, ["step", "step", "step", "dispose", "dispose"], "every disposal ends after the steps");
      must(cache.length === 0, "its cache is as it was");
      await mustThrow(
        "ERR_DISPOSED",
        () => other.submit(step([{ tokens: tokens(1) }])),
        "a step of a disposed program",
      );
      mustEqual(await running, expected, "a step of another program, under way");
      mustEqual(await logits(program, undefined, tokens(4)), expected, "a step of it after that");
      must((await logits(program, cache, tokens(4))).length === expected.length, "one with the cache");
      await other[Symbol.asyncDispose]();
    },
  },
  {
    name: "disposing a device disposes all that it gave out; it refuses to load, and a second disposal waits for the first",
    async run(device) {
      const { program, parameters, graph } = await load(device);
      const { weights } = model();
      const order: string[] = [];
      const ended = (): number => order.push("step");
      const running = program.submit(step([{ tokens: tokens(300) }])).result.then(ended, ended);
      const disposals = [1, 2].map(async () => {
        await device[Symbol.asyncDispose]();
        order.push("dispose");
      });
      await Promise.all([running, ...disposals]);
      mustEqual(order, ["step", "dispose", "dispose"], "every disposal ends after the step");
      await mustThrow("ERR_DISPOSED", () => program.submit(step([{ tokens: tokens(1) }])), "a step");
      await mustThrow("ERR_DISPOSED", () => device.loadParameters([graph], weights), "loadParameters");
      await mustThrow("ERR_DISPOSED", () => device.compile(graph, parameters), "compile");
      await mustThrow("ERR_DISPOSED", () => device.cachePool([{ kvHeads: 1, headDim: 8 }], { rows: 8 }), "cachePool");
    },
  },
  {
    name: "disposing a device while it loads ends the load",
    async run(device) {
      const outcome = load(device).then(({ program }) => program.submit(step([{ tokens: tokens(1) }])).result);
      outcome.catch(() => undefined);
      await device[Symbol.asyncDispose]();
      await mustThrow("ERR_DISPOSED", () => outcome, "a load under way, or the step after it");
    },
  },
];
