// What requests share of each other: prefixes that are alike, computed once, under the same parameters, adapter and
// salt, and nothing else.

import { reference } from "@polyllama/backend-reference";
import { adapterOf } from "@polyllama/core";
import { tinyModel } from "@polyllama/test-support/tiny-model";
import { randomSource } from "@polyllama/test-support/weights";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Asked, ask, createSubject, type Subject, start, until, words } from "./subject.ts";

let subject: Subject;
beforeAll(async () => {
  subject = await createSubject(reference());
});
afterAll(() => subject[Symbol.asyncDispose]());

const block = 16;
const system = words(4 * block, 9);
const question = (kind: number, length = 5): Asked => ({ prompt: [...system, ...words(length, kind)], count: 4 });

/** Tokens that were found computed, and rows that were computed, by some requests one after another. */
async function found(scheduler: ReturnType<Subject["scheduler"]>, ...asked: readonly Asked[]) {
  const before = scheduler.metrics();
  for (const each of asked) expect(await ask(scheduler, each)).toEqual(await subject.alone(each));
  const after = scheduler.metrics();
  return { hits: after.prefixHitTokens - before.prefixHitTokens, rows: after.rows - before.rows };
}

test("a prefix that requests at once share is computed once", async () => {
  const scheduler = subject.scheduler();
  const asked = Array.from({ length: 8 }, (_, i) => question(i));
  const texts = await Promise.all(asked.map((each) => ask(scheduler, each)));
  for (const [i, each] of asked.entries()) expect(texts[i]).toEqual(await subject.alone(each));
  expect(scheduler.metrics()).toMatchObject({ rows: 4 * block + 8 * (5 + 3), prefixHitTokens: 7 * 4 * block });
});

test("whole blocks are found, of prompts and of answers, and at least one row is computed", async () => {
  const scheduler = subject.scheduler();
  const first = { ...question(1, 20), count: 30 };
  expect(await found(scheduler, first)).toEqual({ hits: 0, rows: 84 + 29 });
  expect(await found(scheduler, question(2))).toEqual({ hits: 4 * block, rows: 5 + 3 });
  expect(await found(scheduler, first)).toEqual({ hits: 5 * block, rows: 4 + 29 });
  expect(await found(scheduler, { prompt: system, count: 1 })).toEqual({ hits: 3 * block, rows: block });
  const answer = (await subject.alone(first)).map(({ id }) => id);
  const next = { prompt: [...first.prompt, ...answer, ...words(3)], count: 1 };
  // The answer's last token was not computed.
  expect(await found(scheduler, next)).toEqual({ hits: 7 * block, rows: 84 + 30 + 3 - 7 * block });
});

test("what differs within a block is not shared", async () => {
  const scheduler = subject.scheduler();
  await ask(scheduler, question(1));
  const other = [...system];
  other[2 * block + 3] = (other[2 * block + 3]! + 1) % 100; // a token of the third block
  expect(await found(scheduler, { prompt: other, count: 4 })).toEqual({ hits: 2 * block, rows: 2 * block + 3 });
});

test("nothing is found under another salt, and what each has is found again", async () => {
  const scheduler = subject.scheduler();
  const asked = question(1);
  await ask(scheduler, asked);
  for (const salt of ["", "a", "b"]) {
    expect((await found(scheduler, { ...asked, salt })).hits, `salt "${salt}"`).toBe(0);
    expect((await found(scheduler, { ...asked, salt })).hits, `salt "${salt}" again`).toBe(4 * block);
  }
  expect((await found(scheduler, asked)).hits).toBe(4 * block);
});

test("requests of different salts at once compute their prefixes each", async () => {
  const scheduler = subject.scheduler();
  const asked = ["a", "b", "a"].map((salt) => ({ ...question(1), salt }));
  await Promise.all(asked.map((each) => ask(scheduler, each)));
  expect(scheduler.metrics()).toMatchObject({ prefixHitTokens: 4 * block });
});

test("adapters share nothing with each other, and each is computed with", async () => {
  const { graph } = tinyModel({ contextLength: 256 });
  const names = graph.weights.filter(({ name }) => /attention\.w[qkv]/.test(name));
  const halves = names.flatMap(({ name, shape: [rows = 0, columns = 0] }) => {
    const [a, b] = adapterOf(name);
    return [
      { name: a, shape: [2, columns] },
      { name: b, shape: [rows, 2] },
    ];
  });
  const source = randomSource({ ...graph, weights: halves });
  using _a = await subject.parameters.addAdapter("a", source, { scale: 3 });
  using _b = await subject.parameters.addAdapter("b", source, { scale: -3 });
  const scheduler = subject.scheduler();
  const asked: Asked = { ...question(1), count: 12 };
  const all = [asked, { ...asked, adapter: "a" }, { ...asked, adapter: "b" }];
  const asking = all.map((each) => ask(scheduler, each));
  await until(() => scheduler.metrics().running > 0);
  expect(scheduler.metrics().running).toBe(3); // none waits for what another one computes
  const texts = await Promise.all(asking);
  for (const [i, each] of all.entries()) expect(texts[i]).toEqual(await subject.alone(each));
  expect(new Set(texts.map((text) => JSON.stringify(text))).size).toBe(3);
  expect(scheduler.metrics().prefixHitTokens).toBe(0);
  for (const each of all) expect((await found(scheduler, each)).hits).toBe(4 * block);
});

test("an update of the parameters forgets all, and those that run compute their tokens anew", async () => {
  const scheduler = subject.scheduler();
  await ask(scheduler, question(1));
  const reader = start(scheduler, { ...question(2), count: 12 });
  const before = scheduler.metrics();
  await until(() => scheduler.metrics().generatedTokens >= before.generatedTokens + 3);
  (subject.parameters as { version: number }).version++; // as a step with updates does
  const all = [];
  for await (const choice of reader) all.push(choice);
  expect(all).toEqual(await subject.alone({ ...question(2), count: 12 })); // whose weights are what they were
  const after = scheduler.metrics();
  expect(after.prefixHitTokens - before.prefixHitTokens).toBe(4 * block); // before the update
  expect(after.preemptions).toBe(1);
  expect(after.rows - before.rows).toBeGreaterThan(5 + system.length + 5);
  expect(await found(scheduler, question(3))).toEqual({ hits: 4 * block, rows: 5 + 3 }); // of the second request
});

test("prefixes are evicted when there is no room, the least recently used first, and give their blocks back", async () => {
  const scheduler = subject.scheduler({ sequences: 1 }); // 16 blocks
  const texts = [0, 1, 2].map((kind): Asked => ({ prompt: words(5 * block, kind), count: 2 }));
  for (const each of texts) await ask(scheduler, each);
  await ask(scheduler, texts[0]!); // so that the second is the least recent
  const { cachedBlocks, freeBlocks } = scheduler.metrics();
  expect([cachedBlocks, freeBlocks]).toEqual([15, 1]);
  await ask(scheduler, { prompt: words(4 * block, 7), count: 2 }); // 5 blocks, 4 of which come from the second
  expect((await found(scheduler, texts[2]!)).hits).toBe(4 * block);
  expect((await found(scheduler, texts[0]!)).hits).toBe(4 * block);
  expect((await found(scheduler, texts[1]!)).hits).toBe(0);
});

test("what two have computed apart is kept once, and no block is lost", async () => {
  const scheduler = subject.scheduler();
  const asked: Asked = { ...question(1), count: 40 };
  const first = ask(scheduler, asked);
  await until(() => scheduler.metrics().generatedTokens >= 2);
  scheduler.forgetPrefixes(); // so that the second finds nothing
  await ask(scheduler, { ...asked, count: 1 });
  expect(await first).toEqual(await subject.alone(asked));
  const { blocks, freeBlocks, cachedBlocks, prefixHitTokens } = scheduler.metrics();
  expect([prefixHitTokens, cachedBlocks, freeBlocks + cachedBlocks]).toEqual([0, 4, blocks]);
});

test("who began before prefixes were forgotten leaves those that came after", async () => {
  const scheduler = subject.scheduler();
  const asked: Asked = { prompt: words(5), count: 30 }; // less than a block, so that it holds nothing of the tree
  const first = ask(scheduler, asked);
  await until(() => scheduler.metrics().generatedTokens >= 2);
  scheduler.forgetPrefixes();
  await ask(scheduler, question(1));
  expect(await first).toEqual(await subject.alone(asked));
  const { blocks, freeBlocks, cachedBlocks } = scheduler.metrics();
  expect([cachedBlocks, freeBlocks + cachedBlocks]).toEqual([4 + 2, blocks]);
  expect((await found(scheduler, question(2))).hits).toBe(4 * block);
});

test("without a prefix cache nothing is found", async () => {
  const scheduler = subject.scheduler({ prefixCache: false });
  expect((await found(scheduler, question(1), question(1))).hits).toBe(0);
  const { blocks, freeBlocks, cachedBlocks } = scheduler.metrics();
  expect([freeBlocks, cachedBlocks]).toEqual([blocks, 0]);
});
