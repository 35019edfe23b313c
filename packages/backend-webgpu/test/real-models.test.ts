// Real weights: greedy text of stories260K, TinyStories-656K and poet as the reference writes it. Logits are read back
// and tokens chosen on the device by turns, so that both ways are held to it.

import { readFile } from "node:fs/promises";
import { reference } from "@polyllama/backend-reference";
import { type Checkpoint, openCheckpoint } from "@polyllama/checkpoints";
import { greedyTokens } from "@polyllama/conformance";
import { createSampler, llamaGraph } from "@polyllama/core";
import { type Device, loadGraph } from "@polyllama/core/device";
import { drawTokens } from "@polyllama/test-support/drawn";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { afterAll, beforeAll, expect, test } from "vitest";
import { webgpu } from "../src/index.ts";
import { describeWithAdapter } from "./support.ts";

/** The first tokens and `count` more, chosen on the device. */
async function onDevice(device: Device, checkpoint: Checkpoint, first: readonly number[], count: number) {
  await using loaded = await loadGraph(device, llamaGraph(checkpoint.config), checkpoint);
  const cache = loaded.pool(first.length + count).open();
  const ids = [...first];
  const draw = createSampler({ temperature: 0 }).draw!; // nothing in these options is the host's alone
  for await (const id of drawTokens(loaded, cache, Int32Array.from(first), draw, count)) ids.push(id);
  return ids;
}

describeWithShared("real models", () => {
  describeWithAdapter("WebGPU", () => {
    let device: Device;
    beforeAll(async () => {
      device = await webgpu();
    });
    afterAll(() => device[Symbol.asyncDispose]());

    for (const file of ["stories260K.gguf", "stories260K.bin"]) {
      test(`${file}: the 256 reference tokens`, async () => {
        const { input_ids: ids } = JSON.parse(await readFile(shared("reference/stories260K-greedy.json"), "utf8"));
        await using checkpoint = await openCheckpoint(shared(`weights/${file}`));
        expect(await onDevice(device, checkpoint, ids.slice(0, 1), ids.length - 1)).toEqual(ids);
      });
    }
    for (const folder of ["TinyStories-656K", "poet"]) {
      test(`${folder}: greedy text equals the reference's`, async () => {
        await using checkpoint = await openCheckpoint(shared(`weights/${folder}`));
        const first = [1, 300, 17];
        const expected = await greedyTokens(reference(), checkpoint, first, 43);
        expect(await onDevice(device, checkpoint, first, 40)).toEqual(expected);
        expect(await greedyTokens(device, checkpoint, first, 43)).toEqual(expected);
      });
    }
  });
});
