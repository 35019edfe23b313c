// Steps under way while others are submitted, and texts whose cuts must not depend on neighbours: devices that want
// either, played by the reference.

import { reference } from "@polyllama/backend-reference";
import { isDeviceTensor } from "@polyllama/core/device";
import { afterEach, expect, test } from "vitest";
import { type Asked, ask, createSubject, type Subject, start, until, words } from "./subject.ts";

let subject: Subject | undefined;
afterEach(() => subject?.[Symbol.asyncDispose]());

async function ahead(stepsAhead: number): Promise<Subject> {
  const device = reference();
  subject = await createSubject(device, { features: { ...device.features, stepsAhead } });
  return subject;
}

const asked = (kind: number, count: number): Asked => ({
  prompt: words(5 + kind, kind),
  count,
  sampling: { temperature: 1, seed: kind },
});

test("a text alone, and texts together, are written from tokens that stay on the device", async () => {
  const { steps, alone, scheduler: make } = await ahead(3);
  for (const all of [[asked(1, 12)], [asked(1, 12), asked(2, 12), asked(3, 12)]]) {
    const expected = [];
    for (const each of all) expected.push(await alone(each));
    const scheduler = make();
    const { length } = steps;
    expect(await Promise.all(all.map((each) => ask(scheduler, each)))).toEqual(expected);
    const inputs = steps.slice(length).map(({ inputs }) => isDeviceTensor(inputs["tokens"]!));
    expect(inputs).toEqual([false, ...Array.from({ length: 11 }, () => true)]);
    await scheduler.dispose();
  }
});

test("those who leave while steps are under way take nothing with them", async () => {
  const { alone, scheduler: make } = await ahead(4);
  const scheduler = make();
  const [first, second, finals] = [asked(1, 30), asked(2, 30), await alone(asked(3, 30))];
  const leaving = start(scheduler, first);
  const final = new Set([finals[7]!.id]); // there are 30
  const texts = [ask(scheduler, second), ask(scheduler, { ...asked(3, 30), finals: final })];
  await until(() => scheduler.metrics().generatedTokens >= 9);
  await leaving.return?.();
  const end = finals.findIndex(({ id }) => final.has(id)) + 1;
  expect(await Promise.all(texts)).toEqual([await alone(second), finals.slice(0, end)]);
  const { freeBlocks, cachedBlocks, blocks } = scheduler.metrics();
  expect(freeBlocks + cachedBlocks).toBe(blocks);
});

test("a failure of a step under way fails none of those who can go on", async () => {
  const its = await ahead(3);
  const scheduler = its.scheduler();
  const all = [asked(1, 12), asked(2, 12)];
  let calls = 0;
  its.before = () => {
    if (++calls === 7) throw new Error("the device is busy");
  };
  const texts = await Promise.all(all.map((each) => ask(scheduler, each)));
  its.before = undefined;
  for (const [i, each] of all.entries()) expect(texts[i]).toEqual(await its.alone(each));
  expect(calls).toBeGreaterThan(7);
});

test("strict cuts every text as it would be cut alone, where a device's bits depend on that", async () => {
  const device = reference();
  const chunk = 32;
  const features = { ...device.features, invariantRows: false };
  const its = await createSubject(device, { features, chunk });
  subject = its;
  const cuts = new Map<object, [from: number, rows: number][]>();
  const texts = Array.from({ length: 6 }, (_, i): Asked => ({ prompt: [...words(40), ...words(30, i)], count: 30 }));
  const expected = [];
  for (const each of texts) expected.push(await its.alone(each));
  const scheduler = its.scheduler({ strict: true, sequences: 2, stepTokens: 20 }, 112); // 14 blocks
  its.before = ({ sequences }) => {
    for (const { cache, rows } of sequences) cuts.set(cache!, [...(cuts.get(cache!) ?? []), [cache!.length, rows]]);
  };
  expect(await Promise.all(texts.map((each) => ask(scheduler, each)))).toEqual(expected);
  const before = scheduler.metrics();
  scheduler.forgetPrefixes();
  await ask(scheduler, texts[5]!); // there are six
  its.before = undefined;
  const [first, answer] = [texts[5]!, expected[5]!]; // likewise
  await ask(scheduler, { prompt: [...first.prompt, ...answer.map(({ id }) => id)], count: 1 });
  expect(scheduler.metrics().prefixHitTokens - before.prefixHitTokens).toBe(64); // whole chunks of the prompt
  for (const own of cuts.values()) {
    for (const [from, rows] of own) {
      if (from >= 70) expect(rows).toBe(1);
      else expect([from % chunk, rows]).toEqual([0, Math.min(chunk, 70 - from)]);
    }
  }
  const { preemptions, prefixHitTokens } = before;
  expect(preemptions).toBeGreaterThan(0);
  expect(prefixHitTokens % chunk).toBe(0);
  expect(prefixHitTokens).toBeGreaterThanOrEqual(5 * chunk);
});
