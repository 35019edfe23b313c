// NaN and infinities, planted in data and weights: the run ends with step, value and op, and nothing of it is saved.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpu } from "@polyllama/backend-cpu";
import { reference } from "@polyllama/backend-reference";
import type { Checkpoint } from "@polyllama/checkpoints";
import { llamaGraph } from "@polyllama/core";
import { afterAll, describe, expect, test } from "vitest";
import { type Batch, firstNonFinite, type PackedSequence, packExamples, type TrainingData } from "../src/index.ts";
import { savedCheckpoints } from "../src/node.ts";
import { smallModel, smallOptions, smallRun } from "./small-run.ts";

const root = await mkdtemp(join(tmpdir(), "overflow-"));
afterAll(() => rm(root, { recursive: true }));
let folders = 0;
const newFolder = (): string => join(root, `${folders++}`);

/** The small run's data, with a change to the fifth batch. */
function planted(change: (packed: PackedSequence) => PackedSequence): TrainingData {
  const { data } = smallOptions;
  return {
    ...data,
    async *batches(position) {
      let count = 0;
      for await (const placed of data.batches(position)) {
        const batch: Batch = placed.batch.map((part) => part.map(change));
        yield ++count === 5 ? { ...placed, batch } : placed;
      }
    },
  };
}

const withWeight =
  (value: number) =>
  (packed: PackedSequence): PackedSequence => {
    return { ...packed, weights: packed.weights.map((weight, row) => (row === 3 ? value : weight)) };
  };

/** The model with a value of a weight beyond f32: float64 takes it, and overflows when it is multiplied. */
function withExact(name: string, value: number): Checkpoint {
  const { weights } = smallModel;
  return {
    ...smallModel,
    readExact: async (weight) => {
      if (weight !== name) return undefined;
      const bytes = await smallModel.read(weight);
      expect(weights.get(weight)?.format).toBe("f32");
      const values = Float64Array.from(new Float32Array(bytes.buffer));
      values[7] = value;
      return values;
    },
  };
}

describe("a run ends with what was not finite first", () => {
  test.each([
    ["NaN", Number.NaN, "Step 5: NaN first in the batch, part 0, sequence 0, weight of row 3."],
    ["infinity", Number.POSITIVE_INFINITY, "Step 5: Infinity first in the batch, part 0, sequence 0, weight of row 3."],
    ["sum", Number.MAX_VALUE, "Step 5: Infinity first in the batch, sum of the weights of all rows."],
  ])("%s in the weights of targets", async (_, value, message) => {
    const folder = newFolder();
    const running = smallRun(folder, { data: planted(withWeight(value)) });
    await expect(running).rejects.toMatchObject({ code: "ERR_OVERFLOW", message: expect.stringContaining(message) });
    const [before, last] = await savedCheckpoints(folder);
    await expect(running).rejects.toThrow(
      `Nothing of this step was saved. The last good checkpoint is ${last}; the run`,
    );
    expect(before).toMatch(/step-00000002$/);
    expect(last).toMatch(/step-00000004$/);
    expect(await smallRun(folder, { resume: true })).toMatchObject({ ended: "done", step: 20 });
  });

  test.each([
    ["layers.0.attention.wv.weight", 1e308, /^Step 1: \S+ first in layers\.0\.(?:v|attention|wo) \(op \w+\)\. /],
    ["layers.0.attention.wq.weight", 1e308, /^Step 1: \S+ first in layers\.0\.(?:q|q_rope|attention) \(op \w+\)\. /],
    ["layers.0.feed_forward.w1.weight", 1e308, /^Step 1: \S+ first in layers\.0\.(?:gate|swiglu) \(op \w+\)\. /],
    ["output.weight", 1e308, /^Step 1: \S+ first in (?:the gradients, )?\S+ \(op \w+\)\. /],
  ])("overflow in %s", async (name, value, message) => {
    const running = smallRun(newFolder(), { model: withExact(name, value) });
    await expect(running).rejects.toMatchObject({ code: "ERR_OVERFLOW", message: expect.stringMatching(message) });
    await expect(running).rejects.toThrow("There is no checkpoint yet.");
  });

  test("overflow in f32, on the processor", async () => {
    const name = "layers.0.feed_forward.w3.weight";
    const model: Checkpoint = {
      ...smallModel,
      async read(weight, ...ranges) {
        const bytes = await smallModel.read(weight, ...ranges);
        if (weight !== name) return bytes;
        return new Uint8Array(new Float32Array(bytes.buffer).map((value) => 1e38 * Math.sign(value)).buffer);
      },
    };
    await using device = cpu();
    const running = smallRun(newFolder(), { model, device });
    await expect(running).rejects.toMatchObject({
      code: "ERR_OVERFLOW",
      message: expect.stringMatching(
        /^Step 1: \S+ first in layers\.0\.(?:up|swiglu|down) \(op \w+\)\. Nothing of this step/,
      ),
    });
  });

  test("a weight that is NaN is refused when it is loaded, by its name", async () => {
    const model = withExact("layers.0.attention.wo.weight", Number.NaN);
    await expect(smallRun(newFolder(), { model })).rejects.toMatchObject({
      code: "ERR_CHECKPOINT",
      tensor: "layers.0.attention.wo.weight",
      message: expect.stringContaining("value 7 is NaN"),
    });
  });
});

describe("the first value", () => {
  const graph = llamaGraph(smallModel.config);
  const batch: Batch = [[...packExamples([{ ids: [1, 5, 9, 4, 2], counts: [1, 1, 1, 1, 1] }], { length: 8 })]];

  test("is none where all are finite", async () => {
    await using device = reference();
    expect(await firstNonFinite(device, graph, smallModel, batch)).toBeUndefined();
    expect((await device.memory()).allocated).toBe(0);
  });

  test("is a weight's where that has it", async () => {
    await using device = reference();
    const source = withExact("norm.weight", Number.NEGATIVE_INFINITY);
    const found = await firstNonFinite(device, graph, source, batch);
    expect(found).toEqual({ value: Number.NEGATIVE_INFINITY, in: "weight", name: "norm.weight" });
  });

  test("is one of the backward graph where the forward one has none", async () => {
    await using device = reference();
    // Rows of zeros, whose norm is 1 / root(eps) times as large, and so twice in gradients.
    const source: Checkpoint = {
      ...smallModel,
      async read(name, ...ranges) {
        const bytes = await smallModel.read(name, ...ranges);
        return name === "tok_embeddings.weight" ? bytes.fill(0) : bytes;
      },
    };
    const steep = llamaGraph({ ...smallModel.config, normEps: 1e-320 });
    const found = await firstNonFinite(device, steep, source, batch);
    expect(found).toMatchObject({ in: "backward", op: expect.any(String) });
  });
});
