// The definitions of the Llama suite against the code they judge, at random: choices among logits with exact ties,
// infinities and both zeros, under every option at once.

import { createSampler, type SamplingOptions } from "@polyllama/core";
import { amount } from "@polyllama/test-support/full";
import fc from "fast-check";
import { expect, test } from "vitest";
import { choose } from "../src/llama/choice.ts";

const logit = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom(0, -0, -Infinity, -3e38, 3e38, 2 ** -149),
  fc.double({ min: -20, max: 20, noNaN: true }).map(Math.fround),
);
const share = fc.oneof(fc.constantFrom(0, 0.5, 0.8, 0.9, 1, 1 - 2 ** -53), fc.double({ min: 0, max: 1, noNaN: true }));
const rarely = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 2 });

const options = fc.record({
  temperature: fc.oneof(fc.constantFrom(0, 1, 1e-30, 1000), fc.double({ min: 0.05, max: 5, noNaN: true })),
  topK: rarely(fc.integer({ min: 0, max: 30 })),
  topP: rarely(share),
  minP: rarely(share),
  repetitionPenalty: rarely(fc.constantFrom(0.01, 0.5, 1, 1.3, 100)),
  presencePenalty: rarely(fc.constantFrom(-100, -1, 0, 0.1, 100)),
  frequencyPenalty: rarely(fc.constantFrom(-100, -0.3, 0, 0.3, 100)),
  logitBias: rarely(
    fc.dictionary(fc.integer({ min: 0, max: 3 }).map(String), fc.constantFrom(-Infinity, -100, 0.3, 1, 100)),
  ),
  seed: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
});

test("a sampler chooses what the definition chooses, at exact ties and under all options at once", () => {
  const numRuns = amount(1000, 20_000);
  let chosen = 0;
  fc.assert(
    fc.property(
      fc.array(logit, { minLength: 4, maxLength: 40 }),
      fc.array(fc.nat(3), { maxLength: 12 }),
      fc.nat(12),
      options,
      (values, tokens, given, chance) => {
        const logits = Float32Array.from(values);
        const set = Object.entries(chance).filter(([, value]) => value !== undefined);
        const settings = { ...(Object.fromEntries(set) as SamplingOptions), seed: chance.seed }; // what is left of them
        const promptLength = Math.min(given, tokens.length);
        const pick = (): number => createSampler(settings).sample(logits, tokens, promptLength);
        const possible = values.some((value, id) => {
          return value > -Infinity && settings.logitBias?.[id as keyof typeof settings.logitBias] !== -Infinity;
        });
        if (!possible) {
          expect(pick).toThrow();
          return;
        }
        chosen++;
        expect(pick()).toBe(choose(logits, tokens, promptLength, settings));
      },
    ),
    { numRuns },
  );
  expect(chosen).toBeGreaterThan(numRuns / 2);
});
