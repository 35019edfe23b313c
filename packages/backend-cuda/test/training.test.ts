// Training on the emulated card: a trained model's gradients and ten steps of AdamW beside PyTorch, in whole batches and in
// parts, and the same bits in whatever order threads and blocks run. What ops compute the suite says.

import { readFileSync } from "node:fs";
import { openCheckpoint } from "@polyllama/checkpoints";
import { goldenLossTolerance } from "@polyllama/conformance";
import { llamaGraph } from "@polyllama/core";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { createTrainer, packExamples, type StepResult } from "@polyllama/training";
import { expect, test } from "vitest";
import { cuda } from "../src/index.ts";
import { describeWithEmulation, emulated } from "./support.ts";

interface Golden {
  readonly batch: readonly { readonly ids: readonly number[]; readonly counts: readonly number[] }[];
  readonly adamw: { readonly lr: number; readonly lossAndNorm: readonly (readonly [loss: number, norm: number])[] };
}

const timeout = 600_000;

await describeWithEmulation("cuda", (emulation) => {
  describeWithShared("steps of AdamW on stories260K", () => {
    const golden: Golden = JSON.parse(readFileSync(shared("reference/training/stories260K.json"), "utf8"));
    const { lr, lossAndNorm } = golden.adamw;
    const packed = golden.batch.map((example) => [...packExamples([example], { length: 512, examples: "whole" })]);

    /** @param parts Micro-batches of the batch. */
    async function steps(
      count: number,
      parts: readonly (typeof packed)[number][],
      order: "forward" | "backward" | "random" = "forward",
    ): Promise<readonly StepResult[]> {
      emulation.control.reset();
      emulation.control.order(order);
      const found: StepResult[] = [];
      {
        await using device = cuda(emulated(emulation));
        await using checkpoint = await openCheckpoint(shared("weights/stories260K.bin"));
        await using trainer = await createTrainer(device, llamaGraph(checkpoint.config), checkpoint);
        for (let step = 0; step < count; step++) found.push(await trainer.step(parts, lr));
      }
      expect(emulation.control.reports()).toBe("");
      expect(emulation.control.live()).toBe(0);
      return found;
    }

    test("ten give PyTorch's losses and norms", { timeout }, async () => {
      expect(lossAndNorm).toHaveLength(10);
      expectLosses(await steps(lossAndNorm.length, [packed.flat()]));
    });

    test("give them in micro-batches", { timeout }, async () => {
      expect(packed.length).toBeGreaterThan(1);
      expectLosses(await steps(2, packed));
    });

    test("are the same to the bit in any order of threads", { timeout }, async () => {
      expect(await steps(1, packed.slice(0, 1), "random")).toEqual(await steps(1, packed.slice(0, 1), "backward"));
    });

    function expectLosses(found: readonly StepResult[]): void {
      expect(found.length).toBeGreaterThan(0);
      for (const [i, { loss, norm }] of found.entries()) {
        const [expected, expectedNorm] = lossAndNorm[i]!; // as many as steps, or more
        expect(Math.abs(loss - expected)).toBeLessThanOrEqual(goldenLossTolerance);
        expect(Math.abs(norm - expectedNorm)).toBeLessThanOrEqual(goldenLossTolerance * expectedNorm);
      }
    }
  });
});
