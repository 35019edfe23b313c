// Texts that are written together are those that each would be alone: with shared prefixes, with preemptions, whatever
// is chosen on the device or here.

import { cpu } from "@polyllama/backend-cpu";
import { reference } from "@polyllama/backend-reference";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Asked, ask, createSubject, type Subject, words } from "./subject.ts";

/** Prompts of all lengths, half of which begin alike; greedy, drawn, with penalties, with log-probabilities. */
function mixed(count: number): readonly Asked[] {
  const system = words(40, 9);
  const samplings = [
    { temperature: 0 },
    { temperature: 1, seed: 3 },
    { temperature: 1.3, topP: 0.9, seed: 4, repetitionPenalty: 1.4, frequencyPenalty: 0.5 },
    { temperature: 0.9, topK: 20, seed: 2 ** 40 },
  ];
  return Array.from({ length: count }, (_, i): Asked => {
    const own = words(3 + ((i * 11) % 50), i);
    return {
      prompt: i % 2 === 0 ? [...system, ...own] : own,
      count: 6 + ((i * 5) % 17),
      sampling: samplings[i % 4]!, // there are four
      ...(i % 5 === 0 && { logprobs: 2 }),
    };
  });
}

const devices = { reference: () => reference(), cpu: () => cpu({ threads: 2 }) };

describe.each(Object.entries(devices))("%s", (_, createDevice) => {
  let subject: Subject;
  beforeAll(async () => {
    subject = await createSubject(createDevice());
  });
  afterAll(() => subject[Symbol.asyncDispose]());

  test("16 requests at once equal each alone, with prefix hits and preemptions, and leave nothing behind", async () => {
    const asked = mixed(16);
    const alone = [];
    for (const each of asked) alone.push(await subject.alone(each));
    const scheduler = subject.scheduler({ sequences: 1, stepTokens: 24 }); // 256 positions
    const together = await Promise.all(asked.map((each) => ask(scheduler, each)));
    expect(together).toEqual(alone);
    const metrics = scheduler.metrics();
    expect(metrics).toMatchObject({ waiting: 0, running: 0, finished: 16, cancelled: 0, failed: 0 });
    expect(metrics.preemptions).toBeGreaterThan(0);
    expect(metrics.prefixHitTokens).toBeGreaterThanOrEqual(7 * 32);
    expect(metrics.freeBlocks + metrics.cachedBlocks).toBe(metrics.blocks);
    expect(metrics.generatedTokens).toBe(asked.reduce((sum, { count }) => sum + count, 0));
    scheduler.forgetPrefixes();
    expect(scheduler.metrics().freeBlocks).toBe(metrics.blocks);
  });

  test("64 requests on blocks for 8 all finish, in turn", async () => {
    const scheduler = subject.scheduler({ sequences: 8 }, 48);
    const asked = Array.from({ length: 64 }, (_, i): Asked => ({ prompt: words(20, i), count: 20 }));
    const texts = await Promise.all(asked.map((each) => ask(scheduler, each)));
    for (const i of [0, 31, 63]) expect(texts[i]).toEqual(await subject.alone(asked[i]!)); // there are 64
    expect(texts.every(({ length }) => length === 20)).toBe(true);
    expect(scheduler.metrics()).toMatchObject({ finished: 64, failed: 0, waiting: 0, running: 0 });
  });
});
