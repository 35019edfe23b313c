// Training in stages on a vocabulary that has grown: which weights each stage changes, and what is left of it.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reference } from "@polyllama/backend-reference";
import {
  extendVocabulary,
  mergeAdapter,
  openAdapter,
  openCheckpoint,
  writeAdapter,
  writeSafetensors,
} from "@polyllama/checkpoints";
import { adapterOf, llamaGraph, matrixParts, partOf, type WeightSource } from "@polyllama/core";
import { huggingFaceFiles, small } from "@polyllama/test-support/hugging-face";
import { tinyConfig } from "@polyllama/test-support/tiny-model";
import { randomSource } from "@polyllama/test-support/weights";
import { mergeVocabularies, trainVocabulary } from "@polyllama/vocabulary";
import { describe, expect, test } from "vitest";
import {
  type Batch,
  chineseStages,
  createStageTrainer,
  encodeDocument,
  packExamples,
  type Stage,
  type StagedModel,
  stagedAdapter,
  train,
} from "../src/index.ts";

const graph = llamaGraph({ ...tinyConfig, layers: 1, vocabSize: 23 });
const batch: Batch = [[...packExamples([{ ids: [1, 21, 5, 22, 20, 2], counts: Array(6).fill(1) }], { length: 8 })]];
const schedule = { peak: 0.01, warmup: 0, floor: 0.1, total: 3 };

async function after(
  model: StagedModel,
  stage: Stage,
  data: Batch = batch,
): Promise<StagedModel & { readonly losses: readonly number[] }> {
  await using device = reference();
  await using trainer = await createStageTrainer(device, model, stage, { seed: 4 });
  const losses: number[] = [];
  for await (const { loss } of train(trainer, Array(3).fill(data), schedule)) losses.push(loss);
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

test("from a checkpoint and a larger vocabulary to a model that has learned it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "polyllama-stages-"));
  try {
    const options = { characterCoverage: 1, splitDigits: true } as const;
    const verses = ["床前明月光，疑是地上霜。", "举头望明月，低头思故乡。", "明月几时有"];
    const plain = (await trainVocabulary(["the cat sat on the mat, that cat"], { ...options, vocabSize: 280 })).model;
    const extra = (await trainVocabulary(verses, { ...options, vocabSize: 285 })).model;
    await writeFile(join(folder, "merged.model"), mergeVocabularies(plain, extra, "base", "extra").model);
    const config = { ...small, layers: 1, vocabSize: 280 };
    for (const [name, content] of Object.entries(huggingFaceFiles(config)))
      await writeFile(join(folder, name), content);
    await writeFile(join(folder, "tokenizer.model"), plain);

    // The test's tensors say where they stand; these are numbers that a model could have.
    const random = randomSource(llamaGraph(config));
    const found = await openCheckpoint(folder);
    const base = { ...found, weights: random.weights, read: random.read, locate: () => undefined };
    await using extended = await extendVocabulary(base, join(folder, "merged.model"));
    expect(extended.config.vocabSize).toBeGreaterThan(280);
    const examples = verses.map((verse) => encodeDocument(extended.tokenizer!, verse)); // it has one
    expect(Math.max(...examples.flatMap(({ ids }) => ids))).toBeGreaterThanOrEqual(280);
    const data: Batch = [[...packExamples(examples, { length: 64 })]];

    const [embeddings, adapter] = chineseStages();
    const first = await after({ graph: llamaGraph(extended.config), source: extended }, embeddings, data);
    const second = await after(first, adapter, data);
    expect(second.losses.at(-1)).toBeLessThan(first.losses[0]!);
    await writeAdapter(join(folder, "adapter"), stagedAdapter(second), extended.config);
    await expect(openAdapter(join(folder, "adapter"), config)).rejects.toThrow("polyllama extend-vocab");
    await using saved = await openAdapter(join(folder, "adapter"), extended.config);
    await writeSafetensors(join(folder, "learned"), mergeAdapter(extended, saved));
    await using learned = await openCheckpoint(join(folder, "learned"));
    expect(learned.tokenizer!.encode("明月")).toEqual(extended.tokenizer!.encode("明月"));
    for (const name of ["tok_embeddings.weight", "output.weight"]) {
      expect(await learned.read(name)).toEqual(await second.source.read(name));
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
