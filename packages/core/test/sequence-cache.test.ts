// What all backends' caches have in common: they advance when a step succeeds and only then, are reserved all or none, and are freed
// when the run that uses them ends.

import { expect, test } from "vitest";
import { acquireCaches, advanceCaches, type KvCache, type ResolvedSequence, SequenceCache } from "../src/index.ts";

class CountedCache extends SequenceCache {
  readonly bytes = 0;
  freed = 0;

  protected override empty(): CountedCache {
    return new CountedCache(this.capacity);
  }

  protected override async copyTo(): Promise<void> {}

  protected override free(): void {
    this.freed++;
  }
}

const isCounted = (cache: KvCache): cache is CountedCache => cache instanceof CountedCache;
const stepOf = (...caches: readonly CountedCache[]): readonly ResolvedSequence[] =>
  caches.map((cache) => ({ first: 0, rows: 3, start: cache.length, cache }));
const run = (result: Promise<string>, ...caches: readonly CountedCache[]) =>
  advanceCaches(acquireCaches(stepOf(...caches), isCounted), result);

test("a step that succeeds advances its caches, one that fails leaves them", async () => {
  const [a, b] = [new CountedCache(8), new CountedCache(8)];
  expect(await run(Promise.resolve("done"), a, b)).toBe("done");
  expect([a.length, b.length]).toEqual([3, 3]);
  await expect(run(Promise.reject(new Error("lost")), a, b)).rejects.toThrow("lost");
  expect([a.length, b.length]).toEqual([3, 3]);
  a.truncate(1);
  const copy = await a.fork();
  await run(Promise.resolve(""), a);
  expect([a.length, copy.length]).toEqual([4, 1]);
});

test("caches of a step are reserved all or none", () => {
  const [free, busy] = [new CountedCache(8), new CountedCache(8)];
  busy.acquire("a run");
  expect(() => acquireCaches(stepOf(free, busy), isCounted)).toThrow("in use by a run");
  free.acquire("another run");
});

test("a cache that is disposed during a run is freed once, at the run's end", async () => {
  const cache = new CountedCache(8);
  const running = run(Promise.resolve(""), cache);
  cache[Symbol.dispose]();
  expect(cache.freed).toBe(0);
  await running;
  cache[Symbol.dispose]();
  expect(cache.freed).toBe(1);
  expect(() => cache.truncate(0)).toThrow("disposed");
});
