// Real weights on the emulated card: the greedy text of stories260K and of the embedded poet, which must be the
// reference's.

import { readFile } from "node:fs/promises";
import { reference } from "@polyllama/backend-reference";
import { type Checkpoint, openCheckpoint } from "@polyllama/checkpoints";
import { type Backend, llamaGraph, mostProbable } from "@polyllama/core";
import { poet } from "@polyllama/model-poet";
import { amount } from "@polyllama/test-support/full";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { expect, test } from "vitest";
import { cuda } from "../src/index.ts";
import { describeWithEmulation, emulated } from "./support.ts";

/** Greedy ids behind a prompt, which is read at once. */
async function greedy(backend: Backend, checkpoint: Checkpoint, prompt: readonly number[], count: number) {
  await using program = await backend.compile(llamaGraph(checkpoint.config), checkpoint);
  using cache = program.createCache(count);
  const ids = [...prompt];
  while (ids.length < count) {
    const tokens = Int32Array.from(ids.slice(cache.length));
    const step = { inputs: { tokens }, batch: [{ rows: tokens.length, cache }] };
    const [logits] = await program.run(step, [{ value: "logits", rows: "last" }]);
    ids.push(mostProbable(logits!.data as Float32Array));
  }
  return ids;
}

await describeWithEmulation("real models", (emulation) => {
  describeWithShared("trained by others", () => {
    test("stories260K: the reference's tokens", { timeout: 240_000 }, async () => {
      const golden = JSON.parse(await readFile(shared("reference/stories260K-greedy.json"), "utf8"));
      const ids: number[] = golden.input_ids.slice(0, amount(64, 256));
      await using checkpoint = await openCheckpoint(shared("weights/stories260K.gguf"));
      await using backend = cuda(emulated(emulation));
      expect(await greedy(backend, checkpoint, ids.slice(0, 1), ids.length)).toEqual(ids);
    });
  });

  test("the poet: greedy text behind a prompt equals the reference's", { timeout: 240_000 }, async () => {
    await using checkpoint = await openCheckpoint(poet);
    await using backend = cuda(emulated(emulation));
    const prompt = Array.from({ length: 12 }, (_, i) => 1 + ((i * 37) % 500));
    expect(await greedy(backend, checkpoint, prompt, 24)).toEqual(await greedy(reference(), checkpoint, prompt, 24));
  });
});
