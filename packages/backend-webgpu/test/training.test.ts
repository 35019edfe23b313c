// Training on WebGPU: a trained model's gradients and ten steps of AdamW beside PyTorch, in whole batches and in parts,
// with values that no binding holds at once, and by both families of kernels. What ops compute the suite says.

import { readFileSync } from "node:fs";
import { openCheckpoint } from "@polyllama/checkpoints";
import { goldenLossTolerance } from "@polyllama/conformance";
import { llamaGraph } from "@polyllama/core";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { createTrainer, packExamples, type StepResult } from "@polyllama/training";
import { expect, test } from "vitest";
import { type WebGpuOptions, webgpu } from "../src/index.ts";
import { describeWithAdapter } from "./support.ts";

interface Golden {
  readonly batch: readonly { readonly ids: readonly number[]; readonly counts: readonly number[] }[];
  readonly adamw: { readonly lr: number; readonly lossAndNorm: readonly (readonly [loss: number, norm: number])[] };
}

const timeout = 300_000;

describeWithAdapter("webgpu", () => {
  describeWithShared("ten steps of AdamW on stories260K", () => {
    const golden: Golden = JSON.parse(readFileSync(shared("reference/training/stories260K.json"), "utf8"));
    const { lr, lossAndNorm } = golden.adamw;
    const packed = golden.batch.map((example) => [...packExamples([example], { length: 512, examples: "whole" })]);

    /** @param parts Micro-batches of the batch. */
    async function steps(options: WebGpuOptions, parts = [packed.flat()]): Promise<readonly StepResult[]> {
      await using device = await webgpu(options);
      const found: StepResult[] = [];
      {
        await using checkpoint = await openCheckpoint(shared("weights/stories260K.bin"));
        await using trainer = await createTrainer(device, llamaGraph(checkpoint.config), checkpoint);
        for (const _ of lossAndNorm) found.push(await trainer.step(parts, lr));
      }
      expect(device.live).toEqual({ buffers: 0, bytes: 0 });
      return found;
    }

    test("give PyTorch's losses, the same to the bit when run again", { timeout }, async () => {
      const found = await steps({});
      expectLosses(found);
      expect(await steps({})).toEqual(found);
    });

    test("give them by kernels for GPUs, without subgroups, at WebGPU's default limits", { timeout }, async () => {
      expectLosses(await steps({ kernels: "hardware", features: { subgroups: false }, limits: "default" }));
    });

    test("give them without subgroups", { timeout }, async () => {
      expectLosses(await steps({ features: { subgroups: false } }));
    });

    test("give them in micro-batches", { timeout }, async () => {
      expect(packed.length).toBeGreaterThan(1);
      expectLosses(await steps({}, packed));
    });

    test("give them where bindings hold pieces of matrices and submissions single kernels", { timeout }, async () => {
      const loweredLimits = { maxStorageBufferBindingSize: 36 << 10, submissionWork: 1 };
      expectLosses(await steps({ loweredLimits }, packed));
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
});
