// Training on the processor: a trained model's gradients and ten steps of AdamW beside PyTorch, the same to the bit when
// run again, on any number of threads and in parts. What ops compute the suite says.

import { readFileSync } from "node:fs";
import { openCheckpoint } from "@polyllama/checkpoints";
import { goldenLossTolerance } from "@polyllama/conformance";
import { llamaGraph } from "@polyllama/core";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { createTrainer, packExamples, type StepResult } from "@polyllama/training";
import { describe, expect, test } from "vitest";
import { cpu, instructionSets } from "../src/index.ts";

interface Golden {
  readonly batch: readonly { readonly ids: readonly number[]; readonly counts: readonly number[] }[];
  readonly adamw: { readonly lr: number; readonly lossAndNorm: readonly (readonly [loss: number, norm: number])[] };
}

describeWithShared("ten steps of AdamW on stories260K", () => {
  const golden: Golden = JSON.parse(readFileSync(shared("reference/training/stories260K.json"), "utf8"));
  const { lr, lossAndNorm } = golden.adamw;
  const packed = golden.batch.map((example) => [...packExamples([example], { length: 512, examples: "whole" })]);

  /** @param parts Micro-batches of the batch. */
  async function steps(options: Parameters<typeof cpu>[0], parts = [packed.flat()]): Promise<readonly StepResult[]> {
    await using device = cpu(options);
    await using checkpoint = await openCheckpoint(shared("weights/stories260K.bin"));
    await using trainer = await createTrainer(device, llamaGraph(checkpoint.config), checkpoint);
    const found: StepResult[] = [];
    for (const _ of lossAndNorm) found.push(await trainer.step(parts, lr));
    return found;
  }

  describe.each(instructionSets())("%s", (instructionSet) => {
    test("give PyTorch's losses and norms", async () => {
      const found = await steps({ instructionSet, threads: 2 });
      expectLosses(found);
    });
  });

  test("are the same to the bit on one thread and on three", async () => {
    const [one, three] = [await steps({ threads: 1 }), await steps({ threads: 3 })];
    expect(three).toEqual(one);
  });

  test("give them in micro-batches, too", async () => {
    expect(packed.length).toBeGreaterThan(1);
    expectLosses(await steps({ threads: 2 }, packed));
  });

  function expectLosses(found: readonly StepResult[]): void {
    expect(found).toHaveLength(lossAndNorm.length);
    for (const [i, { loss, norm }] of found.entries()) {
      const [expected, expectedNorm] = lossAndNorm[i]!; // as many as steps
      expect(Math.abs(loss - expected)).toBeLessThanOrEqual(goldenLossTolerance);
      expect(Math.abs(norm - expectedNorm)).toBeLessThanOrEqual(goldenLossTolerance * expectedNorm);
    }
  }
});
