// Damaged files may be refused or, where the damage does not matter, read; nothing else may happen. Some seconds of
// what `npm run fuzz` does for as long as one likes, always the same inputs.

import { PolyllamaError } from "@polyllama/core";
import { check } from "@polyllama/test-support/fuzz/check";
import { flatten, type Meter } from "@polyllama/test-support/fuzz/pieces";
import { randomOf } from "@polyllama/test-support/fuzz/random";
import type { Target } from "@polyllama/test-support/fuzz/target";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fuzzTargets } from "../fuzz/targets.ts";
import { memorySource, openSynthetic, readGgufHeader, readLlama2cHeader, readSafetensorsHeader } from "../src/index.ts";
import { recognize } from "../src/read/recognize.ts";
import { readTorchFile } from "../src/read/torch/torch-file.ts";

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

// What parsers got wrong before there were limits, by the inputs of each target.
test.each<[string, (bytes: Uint8Array) => unknown, string]>([
  ["tokenizer.json, pipelines", naiveNormalizer, "asked for a buffer"],
  ["pth, directory", naiveDirectory, "threw RangeError"],
  ["files around a tokenizer", naiveEos, "threw TypeError"],
])("a faulty parser is found by %s", async (name, parser, detail) => {
  const target = (await fuzzTargets()).find((one) => one.name === name)!;
  const faulty: Target = { ...target, run: async (input) => void kept.push(parser(flatten(input))) };
  const details: string[] = [];
  for (let number = 0; number < inputs && !details.some((one) => one.startsWith(detail)); number++) {
    const verdict = await check(faulty, target.make(randomOf(`test ${name} ${number}`)));
    if (verdict.outcome === "finding") details.push(verdict.detail);
  }
  kept.length = 0;
  expect(details).toContainEqual(expect.stringContaining(detail));
});

/** Makes room for all that a replacement may write, as often as it is told to. */
function naiveNormalizer(bytes: Uint8Array): string {
  let text = "aaaa bbbb";
  const steps = new TextDecoder().decode(bytes).matchAll(/"String":"([^"]+)"\},"content":"([^"]{1,64})"/g);
  for (const [, pattern = "", content = ""] of steps) {
    if (text.length > 2 ** 18) break; // the test's own end
    new Uint16Array(text.length * content.length);
    text = text.replaceAll(pattern, content);
  }
  return text;
}

/** Goes where the directory says. */
function naiveDirectory(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const directory = view.getUint32(bytes.length - 6, true);
  return view.getUint32(view.getUint32(directory + 42, true), true);
}

/** Knows a token's name in one form. */
function naiveEos(bytes: Uint8Array): unknown {
  try {
    const files = JSON.parse(new TextDecoder().decode(bytes));
    return JSON.parse(files["tokenizer_config.json"]).eos_token.content.length;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

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
