// From training to PEFT's files and back: what was saved gives what was trained.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reference } from "@polyllama/backend-reference";
import { mergeAdapter, openAdapter, quantized, writeAdapter } from "@polyllama/checkpoints";
import { adapterScales, withLora, withNewAdapter } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { tinyModel } from "@polyllama/test-support/tiny-model";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Batch, createTrainer, packExamples, trainedAdapter, withWeights } from "../src/index.ts";

const { graph, config, source } = tinyModel({ layers: 1, vocabSize: 17 });
const ids = [3, 1, 4, 1, 5, 9];
const batch: Batch = [[...packExamples([{ ids, counts: ids.map(() => 1) }], { length: 8 })]];
const tokens = Int32Array.from(ids);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyllama-peft-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("an adapter that was saved gives, switched on, the same numbers as the one in memory, and training goes on", async () => {
  const base = quantized(source, "q8_0");
  const lora = withLora(graph, { rank: 2, alpha: 5, targets: ["attention.wq", "attention.wk", "feed_forward.w3"] });
  await using device = reference();
  await using trainer = await createTrainer(device, lora.graph, withNewAdapter(base, lora, 1), {
    trained: lora.trained,
  });
  const first = await trainer.step(batch, 0.01);
  const adapter = trainedAdapter(trainer.export(), lora);
  const path = join(folder, "adapter");
  await writeAdapter(path, adapter, config);
  await using saved = await openAdapter(path, config);
  await using loaded = await loadGraph(device, graph, base);
  const { parameters } = loaded;
  await parameters.addAdapter("memory", adapter, { scale: adapterScales(adapter) });
  await parameters.addAdapter("saved", saved, { scale: adapterScales(saved) });
  const [memory, file, none] = await Promise.all(
    ["memory", "saved", undefined].map(async (name) => {
      const sequences = [{ rows: ids.length, ...(name !== undefined && { adapter: name }) }];
      return (await loaded.run({ inputs: { tokens }, sequences }, ["logits"]))[0]!.data; // as asked for
    }),
  );
  expect(file).toEqual(memory);
  expect(file).not.toEqual(none);
  await using next = await createTrainer(device, lora.graph, withWeights(base, saved), { trained: lora.trained });
  expect((await next.step(batch, 0.01)).loss).toBeLessThan(first.loss);
});

test("embeddings and output matrix that were trained beside it are in the files, and in the model it is merged into", async () => {
  const lora = withLora(graph, { rank: 1, trainable: ["tok_embeddings", "output"] });
  await using device = reference();
  await using trainer = await createTrainer(device, lora.graph, withNewAdapter(source, lora, 1), {
    trained: lora.trained,
  });
  await trainer.step(batch, 0.01);
  const trained = trainer.export();
  await writeAdapter(join(folder, "adapter"), trainedAdapter(trained, lora), config);
  await using saved = await openAdapter(join(folder, "adapter"), config);
  const merged = mergeAdapter(source, saved);
  for (const name of ["tok_embeddings.weight", "output.weight"]) {
    expect(await merged.read(name)).toEqual(await trained.read(name));
    expect(await merged.read(name)).not.toEqual(await source.read(name));
  }
  expect(await merged.read("norm.weight")).toEqual(await source.read("norm.weight"));
});
