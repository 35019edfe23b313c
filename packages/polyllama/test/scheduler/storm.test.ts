// Requests of all kinds at once, which come, leave, read slowly, and whose steps fail, as a seed has it: every text is
// the beginning of what it is alone, nobody waits for ever, and no block is lost.

import { cpu } from "@polyllama/backend-cpu";
import { amount } from "@polyllama/test-support/full";
import { uniform } from "@polyllama/test-support/random";
import { afterEach, expect, test } from "vitest";
import type { Choice } from "../../src/generation/generate.ts";
import { type Asked, createSubject, type Subject, start, words } from "./subject.ts";

let subject: Subject | undefined;
afterEach(() => subject?.[Symbol.asyncDispose]());

const requests = 32;

interface Visitor extends Asked {
  /** Tokens after which it leaves. */
  readonly stays: number;
  readonly leaves: "by its signal" | "by its reader";
  /** Turns of the event loop that it takes for a token. */
  readonly slowness: number;
}

function visitor(next: () => number): Visitor {
  const whole = (below: number): number => Math.floor(below * next());
  const count = 1 + whole(40);
  const own = words(1 + whole(40), whole(6)); // with all of it within the context of 160
  return {
    prompt: next() < 0.6 ? [...words(10 + whole(70), 9), ...own] : own,
    count,
    sampling:
      next() < 0.5 ? { temperature: 0 } : { temperature: 1, seed: whole(1000), repetitionPenalty: 1 + whole(2) },
    priority: whole(3),
    ...(next() < 0.2 && { salt: "a" }),
    ...(next() < 0.2 && { logprobs: 1 }),
    stays: next() < 0.3 ? whole(count) : count,
    leaves: next() < 0.5 ? "by its signal" : "by its reader",
    slowness: next() < 0.2 ? 20 : 0,
  };
}

async function visit(scheduler: ReturnType<Subject["scheduler"]>, visitor: Visitor): Promise<readonly Choice[]> {
  const { stays, leaves, slowness, ...asked } = visitor;
  const controller = new AbortController();
  const reader = start(scheduler, { ...asked, signal: controller.signal });
  const taken: Choice[] = [];
  while (taken.length < stays) {
    for (let turn = 0; turn < slowness; turn++) await new Promise((resolve) => setImmediate(resolve));
    const { value } = await reader.next();
    if (value === undefined) break;
    taken.push(value);
  }
  if (leaves === "by its signal") controller.abort();
  else await reader.return?.();
  return taken;
}

const seeds = Array.from({ length: amount(2, 30) }, (_, i) => i + 1);

test.each(seeds)("seed %d", { timeout: 120_000 }, async (seed) => {
  const next = uniform(seed);
  const device = cpu({ threads: 2 });
  const features = { ...device.features, stepsAhead: 1 + (seed % 3) };
  const its = await createSubject(device, { features });
  subject = its;
  const visitors = Array.from({ length: requests }, () => visitor(next));
  const alone = [];
  for (const each of visitors) alone.push(await its.alone(each));
  const options = { sequences: 2, maxUndelivered: 3, stepTokens: 24, maxRunning: 6 + (seed % 2) * 10 };
  const scheduler = its.scheduler(options, 160); // 10 blocks of 32 positions
  its.before = ({ sequences }) => {
    if (sequences.length > 1 && next() * 20 < 1) throw new Error("the device is busy");
    if (next() * 50 < 1) scheduler.forgetPrefixes();
  };
  const texts = visitors.map(async (each, i) => {
    for (let turn = 0; turn < 15 * i; turn++) await new Promise((resolve) => setImmediate(resolve));
    return visit(scheduler, each);
  });
  const taken = await Promise.all(texts);
  for (const [i, { stays }] of visitors.entries()) expect(taken[i]).toEqual(alone[i]!.slice(0, stays)); // one for each
  const { finished, cancelled, ...metrics } = scheduler.metrics();
  expect(metrics).toMatchObject({ failed: 0, waiting: 0, running: 0 });
  expect(finished + cancelled).toBe(requests);
  expect(metrics.freeBlocks + metrics.cachedBlocks).toBe(metrics.blocks);
  scheduler.forgetPrefixes();
  expect(scheduler.metrics().freeBlocks).toBe(metrics.blocks);
});
