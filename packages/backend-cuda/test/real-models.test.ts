// Real weights on the emulated card: the greedy text of stories260K and of the embedded poet, which must be the
// reference's.

import { readFile } from "node:fs/promises";
import { reference } from "@polyllama/backend-reference";
import { openCheckpoint } from "@polyllama/checkpoints";
import { greedyTokens } from "@polyllama/conformance";
import { poet } from "@polyllama/model-poet";
import { amount } from "@polyllama/test-support/full";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { expect, test } from "vitest";
import { cuda } from "../src/index.ts";
import { describeWithEmulation, emulated } from "./support.ts";

await describeWithEmulation("real models", (emulation) => {
  describeWithShared("trained by others", () => {
    test("stories260K: the reference's tokens", { timeout: 240_000 }, async () => {
      const golden = JSON.parse(await readFile(shared("reference/stories260K-greedy.json"), "utf8"));
      const ids: number[] = golden.input_ids.slice(0, amount(64, 256));
      await using checkpoint = await openCheckpoint(shared("weights/stories260K.gguf"));
      await using backend = cuda(emulated(emulation));
      expect(await greedyTokens(backend, checkpoint, ids.slice(0, 1), ids.length)).toEqual(ids);
    });
  });

  test("the poet: greedy text behind a prompt equals the reference's", { timeout: 240_000 }, async () => {
    await using checkpoint = await openCheckpoint(poet);
    await using backend = cuda(emulated(emulation));
    const prompt = Array.from({ length: 12 }, (_, i) => 1 + ((i * 37) % 500));
    const expected = await greedyTokens(reference(), checkpoint, prompt, 24);
    expect(await greedyTokens(backend, checkpoint, prompt, 24)).toEqual(expected);
  });
});
