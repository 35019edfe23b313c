// Real weights: the greedy text of stories260K and TinyStories-656K, and the embedded poet, on this backend and in
// float64.

import { readFile } from "node:fs/promises";
import { reference } from "@polyllama/backend-reference";
import { openCheckpoint } from "@polyllama/checkpoints";
import { estimateTolerance, greedyTokens, worstShare } from "@polyllama/conformance";
import { llamaGraph } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { expect, test } from "vitest";
import { onnxruntime } from "../src/index.ts";

describeWithShared("real models", () => {
  const options = { cacheFolder: false, activations: "f32", threads: 2 } as const;

  for (const file of ["stories260K.gguf", "stories260K.bin"]) {
    test(`${file}: the 256 reference tokens, in f32 activations and by default`, async () => {
      const { input_ids: ids } = JSON.parse(await readFile(shared("reference/stories260K-greedy.json"), "utf8"));
      await using checkpoint = await openCheckpoint(shared(`weights/${file}`));
      await using backend = onnxruntime(options);
      expect(await greedyTokens(backend, checkpoint, ids.slice(0, 1), ids.length)).toEqual(ids);
    });
  }
  for (const folder of ["stories260K.gguf", "TinyStories-656K", "poet"]) {
    test(`${folder}: logits within what the declared roundings allow`, async () => {
      await using checkpoint = await openCheckpoint(shared(`weights/${folder}`));
      await using device = onnxruntime(options);
      const tokens = Int32Array.from({ length: 24 }, (_, i) => (i * 7919 + 1) % checkpoint.config.vocabSize);
      const graph = llamaGraph(checkpoint.config);
      await using loaded = await loadGraph(device, graph, checkpoint);
      const step = { inputs: { tokens } };
      const [logits] = await loaded.run(step, ["logits"]);
      const tolerance = await estimateTolerance(graph, checkpoint, step, "logits", device.roundings, { runs: 4 });
      expect(worstShare(logits!, tolerance)).toBeLessThanOrEqual(1);
    });
  }
  test("TinyStories-656K: greedy text equals the reference's", async () => {
    await using checkpoint = await openCheckpoint(shared("weights/TinyStories-656K"));
    await using backend = onnxruntime(options);
    const expected = await greedyTokens(reference(), checkpoint, [1], 60);
    expect(await greedyTokens(backend, checkpoint, [1], 60)).toEqual(expected);
  });
});
