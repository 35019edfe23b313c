// Damaged files may be refused or, where the damage does not matter, read; nothing else may happen. Some seconds of what
// `npm run fuzz` does for as long as one likes, always the same inputs.

import { PolyllamaError } from "@polyllama/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { check } from "../fuzz/check.ts";
import type { Meter } from "../fuzz/pieces.ts";
import { randomOf } from "../fuzz/random.ts";
import { fuzzTargets, type Target } from "../fuzz/targets.ts";
import { memorySource, openSynthetic, readGgufHeader, readLlama2cHeader, readSafetensorsHeader } from "../src/index.ts";
import { readTorchFile } from "../src/meta/torch-file.ts";
import { recognize } from "../src/recognize.ts";

const inputs = 400;

describe("spoiled files", async () => {
  test.each((await fuzzTargets()).map((target) => [target.name, target] as const))("%s", async (name, target) => {
    for (const sound of target.sound) expect(await check(target, sound)).toMatchObject({ outcome: "read" });
    const outcomes = new Set<string>();
    for (let number = 0; number < inputs; number++) {
      const { outcome, detail } = await check(target, target.make(randomOf(`test ${name} ${number}`)));
      expect(outcome, `seed test, input ${number}: ${detail}`).not.toBe("finding");
      outcomes.add(outcome);
    }
    expect([...outcomes].sort()).toEqual(["read", "refused"]);
  });
});

test.each([
  ["asked for a buffer", () => void new Float32Array(2 ** 20)],
  ["memory grew", () => void kept.push(Array.from({ length: 40 }, () => new Uint8Array(2 ** 20)))],
  ["threw TypeError", () => (undefined as unknown as Uint8Array).length], // what a parser must not do
  ["read 40000000 bytes", (meter: Meter) => void Object.assign(meter, { bytes: 4e7 })],
])("a parser is found that %s", async (detail, fault) => {
  const target: Target = {
    name: "faulty",
    sound: [],
    make: () => [],
    run: async (_, meter) => void fault(meter),
  };
  expect(await check(target, [new Uint8Array(1000)])).toMatchObject({
    outcome: "finding",
    detail: expect.stringContaining(detail),
  });
});
const kept: unknown[] = [];

async function refusedOrRead(attempt: () => Promise<unknown>): Promise<void> {
  try {
    await attempt();
  } catch (error) {
    if (!(error instanceof PolyllamaError)) throw error;
  }
}

test("any bytes at all, and any URL", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      const source = () => memorySource("m", bytes);
      await refusedOrRead(async () => recognize(new Uint8Array(bytes.subarray(0, 64)), source()));
      await refusedOrRead(() => readGgufHeader(source()));
      await refusedOrRead(() => readSafetensorsHeader(source()));
      await refusedOrRead(() => readLlama2cHeader(source()));
      await refusedOrRead(() => readTorchFile(source()));
    }),
  );
  await fc.assert(
    fc.asyncProperty(fc.string(), fc.string(), (preset, query) =>
      refusedOrRead(async () => openSynthetic(`synthetic://${preset}?${query}`)),
    ),
  );
});
