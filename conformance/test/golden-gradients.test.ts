// Gradients of a trained model on backends that round, beside PyTorch's in float64: within the tolerance that perturbed runs
// of the reference show for their roundings.

import { readFileSync } from "node:fs";
import { cpu, instructionSets } from "@polyllama/backend-cpu";
import { openCheckpoint } from "@polyllama/checkpoints";
import { gradient, llamaGraph, type Tensor, withLogProbabilities } from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { full } from "@polyllama/test-support/full";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { beforeAll, expect, test } from "vitest";
import { fewPerturbedRuns, perturbedRuns } from "../src/comparison/constants.ts";
import { estimateTolerances, measureTolerance, type Tolerance } from "../src/comparison/tolerance.ts";
import { gradientsOf } from "../src/gradients/run.ts";
import { batchStep, type Golden, output, readTensors } from "./golden-training.ts";

describeWithShared("gradients of stories260K", () => {
  const golden: Golden = JSON.parse(readFileSync(shared("reference/training/stories260K.json"), "utf8"));
  const expected = readTensors(shared("reference/training/stories260K-gradients.safetensors"));
  const { step, cotangent } = batchStep(golden);
  const names = [...expected.keys()];
  /** Around PyTorch's values, by name. */
  let tolerances: ReadonlyMap<string, Tolerance>;

  /** Gradients in the order of `names`. */
  async function run(device: Device): Promise<readonly Tensor[]> {
    await using checkpoint = await openCheckpoint(shared("weights/stories260K.bin"));
    const graphs = gradient(withLogProbabilities(llamaGraph(checkpoint.config)));
    const { weights } = await gradientsOf(device, graphs, checkpoint, step, () => ({ [output]: cotangent }));
    expect(weights.size).toBe(names.length);
    return names.map((name) => weights.get(name)!); // as many
  }

  beforeAll(async () => {
    await using device = cpu({ activations: "f32" });
    const seeds = Array.from({ length: full ? perturbedRuns : fewPerturbedRuns }, (_, i) => 1000 + i);
    const estimated = await estimateTolerances(run, device.roundings, seeds);
    tolerances = new Map(
      estimated.map(({ exact: { shape }, perRow }, i) => {
        const data = Float64Array.from(expected.get(names[i]!)!); // one for each
        return [names[i]!, { exact: { shape, data }, perRow }];
      }),
    );
  }, 300_000);

  test.each(instructionSets())("are PyTorch's on cpu, %s", async (instructionSet) => {
    await using device = cpu({ instructionSet, activations: "f32", threads: 2 });
    for (const [i, value] of (await run(device)).entries()) {
      const found = measureTolerance(value, tolerances.get(names[i]!)!); // likewise
      expect({ name: names[i], problem: found.problem }).toEqual({ name: names[i], problem: undefined });
      expect(found.worst).toBeGreaterThan(0);
    }
  });
});
