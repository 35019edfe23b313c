// Real weights: greedy text of stories260K, TinyStories-656K and poet as the reference writes it. Logits are read back and tokens chosen on
// the device by turns, so that both ways are held to it.

import { readFile } from "node:fs/promises";
import { reference } from "@polyllama/backend-reference";
import { type Checkpoint, openCheckpoint } from "@polyllama/checkpoints";
import { greedyTokens } from "@polyllama/conformance";
import { type Backend, createSampler, llamaGraph } from "@polyllama/core";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type WebGpuBackend, webgpu } from "../src/index.ts";
import { describeWithAdapter } from "./support.ts";

/** The first tokens and `count` more, chosen on the device. */
async function onDevice(backend: Backend, checkpoint: Checkpoint, first: readonly number[], count: number) {
  await using program = await backend.compile(llamaGraph(checkpoint.config), checkpoint);
  using cache = program.createCache(first.length + count);
  const sampling = createSampler({ temperature: 0 }).draw!;
  const ids = [...first];
  for await (const id of program.sample!({ cache, tokens: Int32Array.from(first), sampling, count })) ids.push(id);
  return ids;
}

describeWithShared("real models", () => {
  describeWithAdapter("WebGPU", () => {
    let backend: WebGpuBackend;
    beforeAll(async () => {
      backend = await webgpu();
    });
    afterAll(() => backend[Symbol.asyncDispose]());

    for (const file of ["stories260K.gguf", "stories260K.bin"]) {
      test(`${file}: the 256 reference tokens`, async () => {
        const { input_ids: ids } = JSON.parse(await readFile(shared("reference/stories260K-greedy.json"), "utf8"));
        await using checkpoint = await openCheckpoint(shared(`weights/${file}`));
        expect(await onDevice(backend, checkpoint, ids.slice(0, 1), ids.length - 1)).toEqual(ids);
      });
    }
    for (const folder of ["TinyStories-656K", "poet"]) {
      test(`${folder}: greedy text equals the reference's`, async () => {
        await using checkpoint = await openCheckpoint(shared(`weights/${folder}`));
        const first = [1, 300, 17];
        const expected = await greedyTokens(reference(), checkpoint, first, 43);
        expect(await onDevice(backend, checkpoint, first, 40)).toEqual(expected);
        expect(await greedyTokens(backend, checkpoint, first, 43)).toEqual(expected);
      });
    }
  });
});
