// Runs at once, on a program and on programs side by side: each gives what it gives alone, and a cache serves one of
// them.

import { must, mustEqual, mustThrow } from "../../must.ts";
import { compile, lastLogits, logits, step } from "../subject.ts";
import type { LifecycleCase } from "./case.ts";

export const concurrencyCases: readonly LifecycleCase[] = [
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
];
