// Adapters as a graph pass: what stands in the place of a linear, what trains, and where A starts.

import { describe, expect, test } from "vitest";
import {
  buildGraph,
  gradient,
  llamaGraph,
  partOf,
  presets,
  type WeightSource,
  weightsOfParts,
  withLogProbabilities,
  withLora,
  withNewAdapter,
} from "../src/index.ts";

const config = {
  ...presets["llama-2-7b"],
  dim: 8,
  headDim: 4,
  heads: 2,
  kvHeads: 1,
  hiddenDim: 12,
  layers: 2,
  vocabSize: 9,
};
const graph = llamaGraph(config);
const none: WeightSource = {
  name: "none",
  weights: new Map(),
  read: () => Promise.reject(new Error("nothing is read of it")),
  fingerprint: async () => "none",
};

describe("a graph with an adapter", () => {
  test("adds two narrow linears to those of its targets, and nothing to others", () => {
    const one = buildGraph((g) => {
      const x = g.activations("x", 4);
      return [
        g.linear("y", x, g.weight("layers.0.attention.wq.weight", [6, 4])),
        g.linear("z", x, g.weight("w", [3, 4])),
      ];
    });
    const lora = withLora(one, { rank: 2, alpha: 3, targets: ["attention.wq"] });
    const w = "layers.0.attention.wq.weight";
    expect(lora.graph.nodes).toEqual([
      { op: "linear", output: "y.base", x: "x", weight: w },
      { op: "linear", output: "y.lora_a", x: "x", weight: `${w}.lora_a` },
      { op: "scale", output: "y.lora_scaled", x: "y.lora_a", factor: 1.5 },
      { op: "linear", output: "y.lora_b", x: "y.lora_scaled", weight: `${w}.lora_b` },
      { op: "add", output: "y", a: "y.base", b: "y.lora_b" },
      { op: "linear", output: "z", x: "x", weight: "w" },
    ]);
    expect(lora.graph.outputs).toEqual(one.outputs);
    expect(lora.graph.weights.slice(2)).toEqual([
      { name: `${w}.lora_a`, shape: [2, 4] },
      { name: `${w}.lora_b`, shape: [6, 2] },
    ]);
    expect([...lora.adapters]).toEqual([[w, { rank: 2, scale: 1.5 }]]);
    expect(lora.trained).toEqual([`${w}.lora_a`, `${w}.lora_b`]);
  });

  test("has PEFT's defaults, and the scale of rsLoRA where it is asked for", () => {
    const { adapters } = withLora(graph);
    expect([...adapters.keys()].map(partOf)).toEqual(["attention.wq", "attention.wv", "attention.wq", "attention.wv"]);
    expect([...adapters.values()]).toEqual(Array(4).fill({ rank: 8, scale: 1 }));
    expect(withLora(graph).graph.nodes.some(({ op }) => op === "scale")).toBe(false); // by 1
    const [stable] = withLora(graph, { rank: 16, alpha: 8, rankStabilized: true }).adapters.values();
    expect(stable).toEqual({ rank: 16, scale: 2 });
  });

  test("trains embeddings and norms in full beside it, and no other weight has a gradient", () => {
    const trainable = ["tok_embeddings", "output", "ffn_norm"] as const;
    const lora = withLora(graph, { targets: ["feed_forward.w2"], trainable });
    const { weights, backward } = gradient(withLogProbabilities(lora.graph), { weights: lora.trained });
    expect([...weights.keys()].sort()).toEqual([...lora.trained].sort());
    expect(weights.size).toBe(2 * 2 + 2 + 2);
    expect(backward.nodes.filter(({ op }) => op === "linearWeightGrad")).toHaveLength(2 * 2);
  });

  test("is refused for what the graph does not have, and for what would be trained twice", () => {
    const tied = llamaGraph({ ...config, tiedEmbeddings: true });
    expect(() => withLora(tied, { trainable: ["output"] })).toThrow(
      'trainable names "output", of which the graph has no',
    );
    expect(() => withLora(graph, { trainable: ["attention.wq"] })).toThrow(
      '"layers.0.attention.wq.weight", which is a',
    );
    expect(() => withLora(graph, { rank: 0 })).toThrow("rank");
    expect(() => withLora(graph, { alpha: 0 })).toThrow("alpha");
    expect(weightsOfParts(graph, [], "parts")).toEqual([]);
  });
});

describe("a new adapter", () => {
  const lora = withLora(graph, { rank: 3, targets: ["attention.wq", "feed_forward.w2"] });
  const [a, b] = lora.trained.slice(-2) as [string, string]; // of w2, [3, 12] and [8, 3]
  const read = async (name: string, seed = 7, ranges = {}): Promise<Float32Array> =>
    new Float32Array((await withNewAdapter(none, lora, seed).read(name, ranges)).buffer);

  test("starts at nothing: B is zero, and A uniform about it", async () => {
    const [first, second] = [await read(a), await read(b)];
    expect([first.length, second.length]).toEqual([36, 24]);
    expect(new Set(second)).toEqual(new Set([0]));
    const bound = 1 / Math.sqrt(12);
    expect(Math.max(...first.map(Math.abs))).toBeLessThanOrEqual(Math.fround(bound));
    expect(new Set(first).size).toBe(36);
    const wide = withLora(llamaGraph({ ...config, hiddenDim: 4096 }), { rank: 8, targets: ["feed_forward.w2"] });
    const many = new Float32Array((await withNewAdapter(none, wide, 1).read(wide.trained[0]!)).buffer); // 32768 of them
    const [mean, square] = [1, 2].map((power) => many.reduce((sum, value) => sum + value ** power, 0) / many.length);
    // Mean and variance of a uniform distribution, to six deviations of what so many draws give.
    expect(Math.abs(mean! * 64)).toBeLessThan(6 * Math.sqrt(1 / 3 / many.length));
    expect(Math.abs(square! * 4096 - 1 / 3)).toBeLessThan(6 * Math.sqrt(4 / 45 / many.length));
  });

  test("is a function of seed, name and place alone", async () => {
    const whole = await read(a);
    expect(await read(a)).toEqual(whole);
    expect(await read(a, 8)).not.toEqual(whole);
    expect(await read(lora.trained[0]!)).not.toEqual((await read(lora.trained[2]!)).slice(0, 24));
    expect(await read(a, 7, { rows: { first: 1, count: 2 } })).toEqual(whole.slice(12));
    expect(await read(a, 7, { rows: { first: 2, count: 1 }, columns: { first: 5, count: 3 } })).toEqual(
      whole.slice(29, 32),
    );
    expect([...whole.slice(0, 3)]).toMatchInlineSnapshot(`
      [
        0.09244158118963242,
        0.037821799516677856,
        0.10775268077850342,
      ]
    `);
    expect(() => withNewAdapter(none, lora, 0.5)).toThrow("seed");
  });
});
