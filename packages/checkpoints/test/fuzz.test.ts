// Damaged files may be refused or, where the damage does not matter, read; nothing else may happen.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { PolyllamaError } from "@polyllama/core";
import fc from "fast-check";
import { describe, test } from "vitest";
import {
  memorySource,
  openGguf,
  openLlama2c,
  openSafetensors,
  openSynthetic,
  readGgufHeader,
  readLlama2cHeader,
  readSafetensorsHeader,
  writeGguf,
} from "../src/index.ts";
import { recognize } from "../src/recognize.ts";
import { folderWith, huggingFaceConfig, huggingFaceTensors, safetensors, small } from "./support.ts";

type Edit = { readonly at: number; readonly kind: "set" | "cut" | "insert" | "flip"; readonly bytes: Uint8Array };

const edits = fc.array(
  fc.record({
    at: fc.nat(),
    kind: fc.constantFrom("set" as const, "cut" as const, "insert" as const, "flip" as const),
    bytes: fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 8 }),
      fc.constantFrom(new Uint8Array(8).fill(255), new Uint8Array(8), Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0x10)),
    ),
  }),
  { minLength: 1, maxLength: 4 },
);

/** Applies edits to the first `region` bytes. */
function spoil(original: Uint8Array, region: number, list: readonly Edit[]): Uint8Array {
  let bytes = new Uint8Array(original);
  for (const { at, kind, bytes: patch } of list) {
    const offset = at % Math.max(1, Math.min(region, bytes.length));
    if (kind === "set") bytes.set(patch.subarray(0, bytes.length - offset), offset);
    else if (kind === "flip" && offset < bytes.length) bytes[offset] = bytes[offset]! ^ (1 << (patch[0]! & 7));
    else if (kind === "cut")
      bytes = Uint8Array.from([...bytes.subarray(0, offset), ...bytes.subarray(offset + patch.length)]);
    else bytes = new Uint8Array(Buffer.concat([bytes.subarray(0, offset), patch, bytes.subarray(offset)]));
  }
  return bytes;
}

async function refusedOrRead(attempt: () => Promise<unknown>): Promise<void> {
  try {
    await attempt();
  } catch (error) {
    if (!(error instanceof PolyllamaError)) throw error;
  }
}

async function fuzz(
  original: Uint8Array,
  region: number,
  open: (bytes: Uint8Array) => Promise<unknown>,
): Promise<void> {
  await open(original);
  await fc.assert(
    fc.asyncProperty(edits, (list) => refusedOrRead(() => open(spoil(original, region, list)))),
    { numRuns: 1500 },
  );
}

describe("fuzzing", () => {
  test("GGUF", async () => {
    const path = join(await folderWith(), "model.gguf");
    await writeGguf(
      path,
      openSynthetic("synthetic://llama-2-7b?dim=32&heads=2&hidden=32&layers=1&vocab=280&context=8"),
    );
    const bytes = await readFile(path);
    const { headerBytes } = await readGgufHeader(memorySource("m", bytes));
    await fuzz(bytes, headerBytes, async (spoiled) => {
      const checkpoint = await openGguf(memorySource("m", spoiled));
      for (const name of checkpoint.weights.keys()) await checkpoint.read(name);
    });
    const withoutVocabulary = await folderWith();
    await writeGguf(
      join(withoutVocabulary, "m"),
      openSynthetic("synthetic://llama-2-7b?dim=32&heads=2&hidden=32&layers=1&vocab=8"),
    );
    const small = await readFile(join(withoutVocabulary, "m"));
    await fuzz(small, (await readGgufHeader(memorySource("m", small))).headerBytes, (spoiled) =>
      openGguf(memorySource("m", spoiled)),
    );
  });

  test("safetensors", async () => {
    const bytes = safetensors(huggingFaceTensors(small));
    const { headerBytes } = await readSafetensorsHeader(memorySource("m", bytes));
    await fuzz(bytes, headerBytes, async (spoiled) => {
      const sources = new Map([["model.safetensors", memorySource("m", spoiled)]]);
      const config = huggingFaceConfig(small);
      const checkpoint = await openSafetensors(sources, {
        name: "m",
        config,
        configName: "config.json",
        tokenizer: async () => undefined,
      });
      for (const name of checkpoint.weights.keys()) await checkpoint.read(name);
    });
  });

  test("llama2.c", async () => {
    const elements = 5000;
    const header = new Int32Array([24, 40, 2, 4, 2, 16, 32]);
    const original = new Uint8Array(28 + 4 * elements);
    original.set(new Uint8Array(header.buffer));
    await fc.assert(
      fc.asyncProperty(edits, (list) =>
        refusedOrRead(async () => {
          const source = memorySource("m", spoil(original, 40, list));
          recognize(await source.read(0, Math.min(64, source.size)), source);
          const checkpoint = await openLlama2c(source, await readLlama2cHeader(source), undefined);
          for (const name of checkpoint.weights.keys()) await checkpoint.read(name);
        }),
      ),
      { numRuns: 1500 },
    );
  });

  test("any bytes at all, and any URL", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        const source = () => memorySource("m", bytes);
        await refusedOrRead(async () => recognize(new Uint8Array(bytes.subarray(0, 64)), source()));
        await refusedOrRead(() => readGgufHeader(source()));
        await refusedOrRead(() => readSafetensorsHeader(source()));
        await refusedOrRead(() => readLlama2cHeader(source()));
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.string(), fc.string(), (preset, query) =>
        refusedOrRead(async () => openSynthetic(`synthetic://${preset}?${query}`)),
      ),
    );
  });
});
