// Adapters in training, on the reference: what changes and what does not, on stored formats of all kinds, and that what
// was trained is what devices switch by sequence. That the gradients are right is conformance's to show.

import { reference } from "@polyllama/backend-reference";
import { quantized } from "@polyllama/checkpoints";
import {
  adapterOf,
  adapterScales,
  type LoraOptions,
  llamaGraph,
  type RealArray,
  type WeightSource,
  withLora,
  withNewAdapter,
} from "@polyllama/core";
import { loadGraph, type SequenceRows } from "@polyllama/core/device";
import { readValues } from "@polyllama/formats";
import { uniform } from "@polyllama/test-support/random";
import { randomSource } from "@polyllama/test-support/weights";
import { describe, expect, test } from "vitest";
import { type Batch, createTrainer, type Example, packExamples, trainedAdapter, withWeights } from "../src/index.ts";

const config = {
  dim: 256,
  layers: 1,
  heads: 4,
  kvHeads: 2,
  headDim: 64,
  hiddenDim: 256,
  vocabSize: 19,
  contextLength: 32,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { type: "none" },
  tiedEmbeddings: false,
} as const;
const graph = llamaGraph(config);
const plain = randomSource(graph);

const next = uniform(3);
const examples = [5, 4].map((size): Example => {
  const ids = Array.from({ length: size }, () => Math.floor(next() * config.vocabSize));
  return { ids, counts: ids.map(() => 1) };
});
const batch: Batch = [[...packExamples(examples, { length: 8 })]];

interface Trained {
  readonly lora: ReturnType<typeof withLora>;
  readonly losses: readonly number[];
  /** Before and after. */
  readonly weights: readonly [WeightSource, WeightSource];
}

async function trained(source: WeightSource, options: LoraOptions, steps: number, seed = 1): Promise<Trained> {
  const lora = withLora(graph, options);
  const start = withNewAdapter(source, lora, seed);
  await using device = reference();
  await using trainer = await createTrainer(device, lora.graph, start, { trained: lora.trained });
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push((await trainer.step(batch, 0.01)).loss);
  return { lora, losses, weights: [start, trainer.export()] };
}

/** Weights of the model and its adapter that are not what they were, to the bit. */
async function changed({ lora, weights: [before, after] }: Trained): Promise<readonly string[]> {
  const names: string[] = [];
  for (const { name } of lora.graph.weights) {
    const bits = async (source: WeightSource) =>
      new Uint32Array((await readValues(source, source.weights.get(name)!)).buffer); // both have the graph's
    const [old, now] = [await bits(before), await bits(after)];
    if (!old.every((word, i) => word === now[i]) || old.length !== now.length) names.push(name);
  }
  return names.sort();
}

describe("an adapter", () => {
  test.each(["f32", "q4_0", "q8_0", "q4_k"] as const)(
    "on %s is trained alone: the loss falls, and the model's weights keep every bit",
    async (format) => {
      const source = format === "f32" ? plain : quantized(plain, format);
      const result = await trained(source, { rank: 2, alpha: 4, targets: ["attention.wk", "feed_forward.w2"] }, 4);
      expect([...result.losses].sort((a, b) => b - a)).toEqual(result.losses);
      expect(new Set(result.losses).size).toBe(4);
      expect(await changed(result)).toEqual([...result.lora.adapters.keys()].flatMap(adapterOf).sort());
      // Nothing but what trains has moments.
      expect([...result.weights[1].weights.keys()].filter((name) => name.includes("moment"))).toHaveLength(2 * 4);
    },
  );

  test("is trained with embeddings, output matrix and norms in full beside it", async () => {
    const options = { rank: 2, trainable: ["tok_embeddings", "output", "norm"] } as const;
    const result = await trained(quantized(plain, "q8_0"), options, 2);
    expect(result.losses[1]).toBeLessThan(result.losses[0]!);
    expect(await changed(result)).toEqual([...result.lora.trained].sort());
    expect(result.lora.trained).toHaveLength(2 * 2 + 3);
  });

  test("gives switched by sequence what it gave in training, beside others and none", async () => {
    const source = quantized(plain, "q4_0");
    const [first, second] = [
      await trained(source, { rank: 2, alpha: 3 }, 3),
      await trained(source, { rank: 4, targets: ["attention.wo", "feed_forward.w1"] }, 3, 2),
    ];
    await using device = reference();
    await using loaded = await loadGraph(device, graph, source);
    const { parameters } = loaded;
    for (const [name, { lora, weights }] of Object.entries({ first, second })) {
      const adapter = trainedAdapter(weights[1], lora);
      await parameters.addAdapter(name, adapter, { scale: adapterScales(adapter) });
    }
    const run = async (sequences: readonly SequenceRows[]): Promise<RealArray> => {
      const tokens = Int32Array.from(sequences.flatMap(({ rows }) => [3, 1, 4, 1].slice(0, rows)));
      const [logits] = await loaded.run({ inputs: { tokens }, sequences }, ["logits"]);
      return logits!.data; // as asked for
    };
    const sequences = [
      { rows: 3, adapter: "second" },
      { rows: 2 },
      { rows: 4, adapter: "first" },
      { rows: 4, adapter: "second" },
    ];
    const alone = await Promise.all(sequences.map((sequence) => run([sequence])));
    expect([...(await run(sequences))]).toEqual(alone.flatMap((rows) => [...rows]));
    expect(alone[2]).not.toEqual(alone[3]);

    for (const [i, { lora, weights }] of [
      [2, first],
      [3, second],
    ] as const) {
      // As in training, from the same f32 values.
      const own = withWeights(source, trainedAdapter(weights[1], lora));
      await using whole = await loadGraph(device, lora.graph, own);
      const [logits] = await whole.run({ inputs: { tokens: Int32Array.of(3, 1, 4, 1) } }, ["logits"]);
      for (const [at, value] of logits!.data.entries()) expect(alone[i]![at]).toBeCloseTo(value, 12);
    }
  });

  test("with whole weights is not switched by sequence", async () => {
    const source = plain;
    const { lora, weights } = await trained(source, { rank: 1, trainable: ["norm"] }, 1);
    await using device = reference();
    await using loaded = await loadGraph(device, graph, source);
    await expect(loaded.parameters.addAdapter("a", trainedAdapter(weights[1], lora))).rejects.toMatchObject({
      code: "ERR_CHECKPOINT",
      tensor: "norm.weight",
    });
  });
});
