// Real, trained checkpoints against results that others computed: the whole path from file to token.

import { readFileSync } from "node:fs";
import { cpu } from "@polyllama/backend-cpu";
import { onnxruntime } from "@polyllama/backend-onnxruntime";
import { reference } from "@polyllama/backend-reference";
import { type Checkpoint, openCheckpoint } from "@polyllama/checkpoints";
import { llamaGraph } from "@polyllama/core";
import { type Device, loadGraph } from "@polyllama/core/device";
import { poet } from "@polyllama/model-poet";
import { full } from "@polyllama/test-support/full";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { describe, expect, test } from "vitest";
import { estimateTolerance, greedyTokens, worstShare } from "../src/index.ts";

/** What arithmetic in f32 rounds, by whoever computed it. */
const f32 = { ...reference().roundings, unit: 2 ** -24, exp: 4 };

/** Those of the processor, with activations in f32. */
const fast: readonly (readonly [name: string, open: () => Device])[] = [
  ["cpu", () => cpu({ activations: "f32", threads: 2 })],
  ["onnxruntime", () => onnxruntime({ activations: "f32", threads: 2, cacheFolder: false })],
];
const devices: readonly (() => Device)[] = [reference, ...fast.map(([, open]) => open)];

describeWithShared("stories260K", () => {
  const golden: { readonly input_ids: readonly number[] } = JSON.parse(
    readFileSync(shared("reference/stories260K-greedy.json"), "utf8"),
  );
  const file = readFileSync(shared("reference/stories260K-greedy-logits-f64.bin"));
  // [256, 512]
  const goldenLogits = new Float64Array(file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength));
  const inputs = { tokens: Int32Array.from(golden.input_ids) };

  for (const name of ["stories260K.bin", "stories260K.gguf"]) {
    for (const open of devices) {
      const device = open();
      test(`${name} on ${device.name}: the greedy ids`, async () => {
        await using checkpoint = await openCheckpoint(shared(`weights/${name}`));
        expect(await greedyTokens(device, checkpoint, [1], golden.input_ids.length)).toEqual(golden.input_ids);
      });
    }

    // Both files hold the same weights.
    test.runIf(full || name.endsWith(".gguf"))(
      `${name}: the file's logits are within f32's roundings of the reference's`,
      async () => {
        await using checkpoint = await openCheckpoint(shared(`weights/${name}`));
        const graph = llamaGraph(checkpoint.config);
        const tolerance = await estimateTolerance(graph, checkpoint, { inputs }, "logits", f32, { runs: 4 });
        expect(worstShare({ shape: tolerance.exact.shape, data: goldenLogits }, tolerance)).toBeLessThanOrEqual(1);
      },
    );
  }

  test.each(fast)("logits of %s with f32 activations are within the derived tolerance", async (_, open) => {
    await using checkpoint = await openCheckpoint(shared("weights/stories260K.gguf"));
    const worst = await shareOf(open, checkpoint, inputs);
    expect(worst).toBeGreaterThan(0);
    expect(worst).toBeLessThanOrEqual(1);
  });
});

/** The worst logit's error, as a share of what is allowed. */
async function shareOf(
  open: () => Device,
  checkpoint: Checkpoint,
  inputs: { readonly tokens: Int32Array },
): Promise<number> {
  await using device = open();
  const graph = llamaGraph(checkpoint.config);
  const tolerance = await estimateTolerance(graph, checkpoint, { inputs }, "logits", device.roundings, { runs: 4 });
  await using loaded = await loadGraph(device, graph, checkpoint);
  const [logits] = await loaded.run({ inputs }, ["logits"]);
  return worstShare(logits!, tolerance);
}

describeWithShared("TinyStories-656K", () => {
  test("greedy text is equal on every device with f32 activations", async () => {
    await using checkpoint = await openCheckpoint(shared("weights/TinyStories-656K"));
    const prompt = checkpoint.tokenizer!.encode("Once upon a time");
    const texts: string[] = [];
    for (const open of devices) {
      texts.push(checkpoint.tokenizer!.decode(await greedyTokens(open(), checkpoint, prompt, 200)));
    }
    expect(texts[0]).toMatch(/^Once upon a time/);
    for (const text of texts) expect(text).toBe(texts[0]);
  });
});

describe("poet", () => {
  const lines = "春夜\n李白\n";

  test.each(fast)("logits of %s with f32 activations are within the derived tolerance", async (_, open) => {
    await using checkpoint = await openCheckpoint(poet);
    const tokens = Int32Array.from(checkpoint.tokenizer!.encode(lines));
    const worst = await shareOf(open, checkpoint, { tokens });
    expect(worst).toBeGreaterThan(0);
    expect(worst).toBeLessThanOrEqual(1);
  });

  test("greedy ids are equal on all of them", async () => {
    await using checkpoint = await openCheckpoint(poet);
    const prompt = checkpoint.tokenizer!.encode(lines);
    const expected = await greedyTokens(reference(), checkpoint, prompt, 60);
    for (const [, open] of fast) expect(await greedyTokens(open(), checkpoint, prompt, 60)).toEqual(expected);
  });
});
