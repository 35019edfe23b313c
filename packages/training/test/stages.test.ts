// Training in stages on a vocabulary that has grown: which weights each stage changes, and what is left of it.

import { reference } from "@polyllama/backend-reference";
import { adapterOf, llamaGraph, matrixParts, partOf, type WeightSource } from "@polyllama/core";
import { tinyConfig } from "@polyllama/test-support/tiny-model";
import { randomSource } from "@polyllama/test-support/weights";
import { describe, expect, test } from "vitest";
import {
  type Batch,
  chineseStages,
  createStageTrainer,
  packExamples,
  type Stage,
  type StagedModel,
  stagedAdapter,
  train,
} from "../src/index.ts";

const graph = llamaGraph({ ...tinyConfig, layers: 1, vocabSize: 23 });
const batch: Batch = [[...packExamples([{ ids: [1, 21, 5, 22, 20, 2], counts: Array(6).fill(1) }], { length: 8 })]];
const schedule = { peak: 0.01, warmup: 0, floor: 0.1, total: 3 };

async function after(model: StagedModel, stage: Stage): Promise<StagedModel & { readonly losses: readonly number[] }> {
  await using device = reference();
  await using trainer = await createStageTrainer(device, model, stage, { seed: 4 });
  const losses: number[] = [];
  for await (const { loss } of train(trainer, Array(3).fill(batch), schedule)) losses.push(loss);
  return { ...(await trainer.result()), losses };
}

/** Parts of the model whose bytes differ. */
async function changedParts(before: WeightSource, now: WeightSource): Promise<readonly string[]> {
  const parts: string[] = [];
  for (const { name } of graph.weights) {
    if (Buffer.compare(await before.read(name), await now.read(name)) !== 0) parts.push(partOf(name));
  }
  return parts.sort();
}

describe("two stages", () => {
  const start: StagedModel = { graph, source: randomSource(graph) };

  test("the embeddings, then an adapter beside the tables", async () => {
    const [embeddings, adapter] = chineseStages();
    const first = await after(start, embeddings);
    expect(await changedParts(start.source, first.source)).toEqual(["tok_embeddings"]);
    expect(first.adapters).toBeUndefined();
    expect(() => stagedAdapter(first)).toThrow("model has no adapter");
    const second = await after(first, adapter);
    expect(second.losses[0]).toBeLessThan(first.losses.at(-1)!); // it begins where the first ended
    expect(second.losses.at(-1)).toBeLessThan(second.losses[0]!);
    expect(await changedParts(first.source, second.source)).toEqual(["output", "tok_embeddings"]);
    expect([...second.adapters!.keys()].map(partOf).sort()).toEqual([...matrixParts].sort());
    const names = [...second.adapters!.keys()].flatMap(adapterOf);
    const whole = ["output.weight", "tok_embeddings.weight"];
    expect([...stagedAdapter(second).weights.keys()].sort()).toEqual([...names, ...whole].sort());
    for (const name of names)
      expect(new Float32Array((await second.source.read(name)).buffer).some((x) => x !== 0)).toBe(true);
    // A third stage goes on with the adapter, and none may leave it out.
    const third = await after(second, adapter);
    expect(third.losses[0]).toBeLessThan(second.losses.at(-1)!);
    await expect(after(second, embeddings)).rejects.toMatchObject({ code: "ERR_OPTION", option: "stage.adapter" });
  });

  test("the embeddings, then all weights", async () => {
    const [embeddings, all] = chineseStages({ full: true });
    const first = await after(start, embeddings);
    const second = await after(first, all);
    expect(await changedParts(first.source, second.source)).toEqual(
      graph.weights.map(({ name }) => partOf(name)).sort(),
    );
    expect(second.adapters).toBeUndefined();
  });

  test("of a model with tied embeddings name the one table it has", async () => {
    const tied = llamaGraph({ ...tinyConfig, layers: 1, vocabSize: 23, tiedEmbeddings: true });
    const [first, second] = chineseStages({ tied: true });
    expect(second.trained).toEqual(["tok_embeddings"]);
    await using device = reference();
    await using trainer = await createStageTrainer(device, { graph: tied, source: randomSource(tied) }, first);
    expect((await trainer.step(batch, 0.01)).loss).toBeGreaterThan(0);
    const stage: Stage = { name: "both", trained: "all", adapter: {} };
    await expect(createStageTrainer(device, start, stage)).rejects.toMatchObject({ option: "stage.adapter" });
  });
});
