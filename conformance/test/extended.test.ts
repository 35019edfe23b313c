// A model with more rows in its tables is the same model for the tokens that it knew: the same logits, to the last bit,
// on every backend that runs here.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpu } from "@polyllama/backend-cpu";
import { onnxruntime } from "@polyllama/backend-onnxruntime";
import { reference } from "@polyllama/backend-reference";
import { webgpu } from "@polyllama/backend-webgpu";
import { extendVocabulary, openCheckpoint, writeGguf, writeSafetensors } from "@polyllama/checkpoints";
import { llamaGraph, type RealArray } from "@polyllama/core";
import { type Device, loadGraph } from "@polyllama/core/device";
import { poet } from "@polyllama/model-poet";
import { describeWithSystem } from "@polyllama/test-support/system";
import { mergeVocabularies, trainVocabulary } from "@polyllama/vocabulary";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let folder: string;
let grown: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyllama-extended-"));
  const lines = ["人工智能是计算机科学、心理学、哲学等学科融合的交叉学科。", "计算机科学与人工智能", "心理学与哲学"];
  const extra = await trainVocabulary(lines, { vocabSize: 300, characterCoverage: 1 });
  const base = await readFile(join(poet, "tokenizer.model"));
  grown = join(folder, "grown.model");
  await writeFile(grown, mergeVocabularies(base, extra.model, "poet", "extra").model);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function keepsOldLogits(create: () => Device | Promise<Device>): void {
  test.each(["folder", "file.gguf"])(
    "as a %s gives the old tokens' logits exactly, and knows the new ones",
    async (name) => {
      await using original = await openCheckpoint(poet);
      const path = join(await mkdtemp(join(folder, "written-")), name);
      const written = name.endsWith(".gguf") ? writeGguf : writeSafetensors;
      await written(path, await extendVocabulary(original, grown));
      await using extended = await openCheckpoint(path);
      const [from, to] = [original.config.vocabSize, extended.config.vocabSize];
      expect(to).toBeGreaterThan(from);
      const tokens = Int32Array.from(original.tokenizer!.encode("床前明月光，疑是地上霜"));
      const ids = extended.tokenizer!.encode("人工智能", { bos: false });
      expect(ids.some((id) => id >= from)).toBe(true);
      expect(extended.tokenizer!.decode(ids)).toBe("人工智能");

      await using device = await create();
      const logits = async (checkpoint: typeof original, rows: Int32Array): Promise<RealArray> => {
        await using loaded = await loadGraph(device, llamaGraph(checkpoint.config), checkpoint);
        return (await loaded.run({ inputs: { tokens: rows } }, ["logits"]))[0]!.data;
      };
      const before = await logits(original, tokens); // [N, V]
      const after = await logits(extended, Int32Array.from([...tokens, ...ids])); // [N + M, V']
      for (let n = 0; n < tokens.length; n++) {
        const row = after.subarray(n * to, n * to + from);
        expect(row, `row ${n}`).toEqual(before.subarray(n * from, (n + 1) * from));
      }
      expect(after.every(Number.isFinite)).toBe(true);
    },
  );
}

const title = (backend: string): string => `the poet with a larger vocabulary, on ${backend}`;
describe(title("reference"), () => keepsOldLogits(reference));
describe(title("cpu"), () => keepsOldLogits(() => cpu({ threads: 2 })));
describe(title("onnxruntime"), () =>
  keepsOldLogits(() => onnxruntime({ activations: "f32", threads: 2, cacheFolder: false })),
);
describeWithSystem("vulkan", title("webgpu"), () => keepsOldLogits(webgpu));
