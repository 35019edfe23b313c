// Damaged files may be refused or, where the damage does not matter, read; nothing else may happen. Some seconds of what
// `npm run fuzz` does for as long as one likes, always the same inputs.

import { PolyllamaError } from "@polyllama/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { check } from "../fuzz/check.ts";
import { randomOf } from "../fuzz/random.ts";
import { fuzzTargets } from "../fuzz/targets.ts";
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
