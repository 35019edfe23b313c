// Those who leave, are slow, come when it is full, rank low or fail: what becomes of them, and that others see nothing
// of it.

import { reference } from "@polyllama/backend-reference";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Asked, ask, createSubject, type Subject, start, until, words } from "./subject.ts";

let subject: Subject;
beforeAll(async () => {
  subject = await createSubject(reference());
});
afterEach(() => {
  subject.before = undefined;
});
afterAll(() => subject[Symbol.asyncDispose]());

const [one, other]: readonly [Asked, Asked] = [
  { prompt: words(20, 1), count: 24 },
  { prompt: words(37, 2), count: 24, sampling: { temperature: 1, seed: 5 } },
];

test.each(["by its signal", "by its reader"])("who leaves %s gives its blocks back at once", async (way) => {
  const scheduler = subject.scheduler({ prefixCache: false });
  const controller = new AbortController();
  const reason = new Error("enough");
  const leaving = start(scheduler, { ...one, signal: controller.signal });
  const staying = ask(scheduler, other);
  await until(() => scheduler.metrics().generatedTokens >= 6);
  const before = scheduler.metrics();
  expect(before).toMatchObject({ running: 2, cancelled: 0 });
  const { length } = subject.steps;
  if (way === "by its signal") {
    controller.abort(reason);
    await expect(leaving.next()).rejects.toBe(reason);
  } else await leaving.return?.();
  expect(await leaving.next()).toMatchObject({ done: true });
  const after = scheduler.metrics();
  expect(after).toMatchObject({ running: 1, cancelled: 1 });
  expect(after.freeBlocks - before.freeBlocks).toBeGreaterThanOrEqual(2); // 20 tokens and more
  expect(await staying).toEqual(await subject.alone(other));
  const submitted = subject.steps.slice(length, length + 10);
  expect(submitted.map(({ sequences }) => sequences.length)).toEqual(submitted.map(() => 1));
  expect(scheduler.metrics().freeBlocks).toBe(before.blocks);
});

test("who leaves while it waits is forgotten", async () => {
  const scheduler = subject.scheduler({ maxRunning: 1 });
  const first = ask(scheduler, one);
  const controller = new AbortController();
  const waiting = ask(scheduler, { ...other, signal: controller.signal });
  await until(() => scheduler.metrics().running === 1);
  controller.abort();
  await expect(waiting).rejects.toBe(controller.signal.reason);
  expect(scheduler.metrics()).toMatchObject({ waiting: 0, cancelled: 1 });
  expect(await first).toEqual(await subject.alone(one));
  expect(() => start(scheduler, { ...one, signal: controller.signal })).toThrow(controller.signal.reason as Error);
});

test("an abort ends reading at once, also when all was written", async () => {
  const scheduler = subject.scheduler();
  const controller = new AbortController();
  const reader = start(scheduler, { ...one, signal: controller.signal });
  await until(() => scheduler.metrics().finished === 1);
  expect(await reader.next()).toMatchObject({ done: false });
  controller.abort();
  await expect(reader.next()).rejects.toBe(controller.signal.reason);
  expect(await reader.next()).toMatchObject({ done: true });
  expect(scheduler.metrics()).toMatchObject({ finished: 1, cancelled: 0 });
});

test("who does not read rests after so many tokens, loses nothing, and others go on", async () => {
  const scheduler = subject.scheduler({ maxUndelivered: 4, sequences: 1 }, 64); // 4 blocks, of which the slow one has 2
  const slow = start(scheduler, one);
  await until(() => scheduler.metrics().resting === 1);
  const { generatedTokens, rows } = scheduler.metrics();
  expect(generatedTokens).toBe(4);
  expect(await ask(scheduler, other)).toEqual(await subject.alone(other)); // needs 4
  expect(scheduler.metrics()).toMatchObject({ resting: 1, waiting: 1, running: 0, preemptions: 1 });
  expect(scheduler.metrics().generatedTokens).toBe(4 + other.count);
  expect(scheduler.metrics().rows - rows).toBe(37 + other.count - 1);
  const all = [];
  for await (const choice of slow) all.push(choice);
  expect(all).toEqual(await subject.alone(one));
});

test("a full queue refuses, and takes again when there is room", async () => {
  const scheduler = subject.scheduler({ maxRunning: 1, maxWaiting: 2 });
  const texts = [ask(scheduler, one)];
  await until(() => scheduler.metrics().running === 1);
  texts.push(ask(scheduler, other), ask(scheduler, one));
  expect(() => start(scheduler, one)).toThrow(expect.objectContaining({ code: "ERR_QUEUE_FULL" }) as Error);
  expect(scheduler.metrics()).toMatchObject({ waiting: 2, refused: 1 });
  await Promise.all(texts);
  expect(await ask(scheduler, one)).toEqual(await subject.alone(one));
});

test("higher priorities go first, equal ones in their order, and none is overtaken for ever", async () => {
  const scheduler = subject.scheduler({ maxRunning: 1 });
  const ended: string[] = [];
  const run = async (name: string, priority: number): Promise<void> => {
    await ask(scheduler, { prompt: words(3), count: 2, priority });
    ended.push(name);
  };
  const first = run("first", 0);
  await until(() => scheduler.metrics().running === 1);
  await Promise.all([first, run("low", -1), run("a", 0), run("b", 0), run("high", 7), run("c", 0)]);
  expect(ended).toEqual(["first", "high", "a", "b", "c", "low"]);

  ended.length = 0;
  const busy = run("first", 0);
  await until(() => scheduler.metrics().running === 1);
  const low = run("low", -1);
  let more = 40;
  const highs = async (name: string): Promise<void> => {
    while (more-- > 0) await run(name, 1);
  };
  await Promise.all([busy, low, highs("x"), highs("y")]);
  expect(ended).toHaveLength(42);
  expect(ended.indexOf("low")).toBe(1 + 16);
});

describe("when blocks run out", () => {
  const asked = (priority: number): Asked => ({ prompt: words(10, priority), count: 60, priority });

  /** First tokens of texts that a step reads from their beginnings, in the pool of the test's scheduler. */
  function watch(): readonly number[] {
    const starts: number[] = [];
    subject.before = ({ inputs: { tokens }, sequences }) => {
      let at = 0;
      for (const { cache, rows } of sequences) {
        if (cache!.pool === subject.pool() && cache!.length === 0) starts.push((tokens as Int32Array)[at]!); // of a text
        at += rows;
      }
    };
    return starts;
  }

  test("those of higher priority end first", async () => {
    const scheduler = subject.scheduler({ sequences: 1, prefixCache: false }, 96); // 6 blocks
    const starts = watch();
    const ended: number[] = [];
    const texts = [0, 2, 1].map(async (priority) => {
      const text = await ask(scheduler, asked(priority));
      ended.push(priority);
      expect(text).toEqual(await subject.alone(asked(priority)));
    });
    await Promise.all(texts);
    expect(ended).toEqual([2, 1, 0]);
    expect(scheduler.metrics().preemptions).toBeGreaterThan(0);
    expect(starts.length).toBe(3 + scheduler.metrics().preemptions);
  });

  test("those who rank lower take none from one that ranks higher, though it came later", async () => {
    const scheduler = subject.scheduler({ sequences: 1, prefixCache: false }, 160); // 10 blocks
    const starts = watch();
    const texts = [0, 1].map((priority) => ask(scheduler, asked(priority)));
    await until(() => scheduler.metrics().generatedTokens >= 20);
    texts.push(ask(scheduler, asked(2)));
    const all = await Promise.all(texts);
    for (const priority of [0, 1, 2]) expect(all[priority]).toEqual(await subject.alone(asked(priority)));
    const first = words(10, 2)[0];
    expect(starts.filter((token) => token === first)).toHaveLength(1);
    expect(scheduler.metrics().preemptions).toBeGreaterThan(0);
  });
});

test("a request that cannot be computed or chosen for fails alone", async () => {
  const scheduler = subject.scheduler();
  const logitBias = Object.fromEntries(Array.from({ length: 131 }, (_, id) => [id, -Infinity]));
  const [text, unknown, forbidden, last] = await Promise.allSettled([
    ask(scheduler, one),
    ask(scheduler, { ...one, adapter: "nobody's" }),
    ask(scheduler, { ...other, sampling: { temperature: 0, logitBias } }),
    ask(scheduler, other),
  ]);
  expect(text).toEqual({ status: "fulfilled", value: await subject.alone(one) });
  expect(unknown).toMatchObject({ status: "rejected", reason: { code: "ERR_GRAPH" } });
  expect(forbidden).toMatchObject({ status: "rejected", reason: { code: "ERR_OPTION" } });
  expect(last).toEqual({ status: "fulfilled", value: await subject.alone(other) });
  expect(scheduler.metrics()).toMatchObject({ failed: 2, finished: 2, running: 0, waiting: 0 });
});

test("a step that fails is run again by parts, and nobody loses a token", async () => {
  const scheduler = subject.scheduler();
  let failures = 0;
  subject.before = ({ sequences }) => {
    if (sequences.length < 2 || failures === 2) return;
    failures++;
    throw new Error("no memory for that many");
  };
  const texts = await Promise.all([ask(scheduler, one), ask(scheduler, other)]);
  expect(texts).toEqual([await subject.alone(one), await subject.alone(other)]);
  expect(failures).toBe(2);
});

test("a long prompt is read beside the streams that are written, piece by piece", async () => {
  const scheduler = subject.scheduler({ stepTokens: 16 });
  const stream = ask(scheduler, { ...one, count: 40 });
  await until(() => scheduler.metrics().generatedTokens >= 2);
  const { length } = subject.steps;
  const long: Asked = { prompt: words(150, 3), count: 1 };
  expect(await ask(scheduler, long)).toEqual(await subject.alone(long));
  const shared = subject.steps.slice(length).filter(({ sequences }) => sequences.length === 2);
  expect(shared.map(({ sequences }) => sequences.map(({ rows }) => rows))).toEqual([
    ...Array.from({ length: 10 }, () => [1, 15]),
  ]);
  await stream;
});

test("what is wrong with a request is said at once", async () => {
  const scheduler = subject.scheduler({}, 64);
  const refused = (asked: Partial<Asked>, code: string): void =>
    expect(() => start(scheduler, { ...one, ...asked })).toThrow(expect.objectContaining({ code }) as Error);
  refused({ prompt: [] }, "ERR_OPTION");
  refused({ prompt: [131] }, "ERR_OPTION");
  refused({ prompt: words(65) }, "ERR_CONTEXT");
  refused({ priority: 0.5 }, "ERR_OPTION");
  refused({ count: 0 }, "ERR_OPTION");
  expect(await ask(scheduler, { prompt: words(64), count: 9 })).toHaveLength(1); // the last one needs no place
  expect(() => subject.scheduler({ maxRunning: 0 })).toThrow(/maxRunning/);
});

test("the end of the device ends all, and nobody waits for ever", async () => {
  const device = reference();
  await using its = await createSubject(device);
  const scheduler = its.scheduler({ maxRunning: 2 });
  const texts = [one, other, one].map((each) => ask(scheduler, each));
  const ends = Promise.allSettled(texts);
  await until(() => scheduler.metrics().generatedTokens >= 40);
  await device[Symbol.asyncDispose]();
  for (const end of await ends) expect(end).toMatchObject({ status: "rejected", reason: { code: "ERR_DISPOSED" } });
});

test("its end ends those that wait and those that run", async () => {
  const scheduler = subject.scheduler({ maxRunning: 1 });
  const texts = [ask(scheduler, one), ask(scheduler, other)];
  const ends = Promise.allSettled(texts);
  await until(() => scheduler.metrics().generatedTokens >= 2);
  await Promise.all([scheduler.dispose(), scheduler.dispose()]);
  for (const end of await ends) expect(end).toMatchObject({ status: "rejected", reason: { code: "ERR_DISPOSED" } });
  expect(() => start(scheduler, one)).toThrow(expect.objectContaining({ code: "ERR_DISPOSED" }) as Error);
});
