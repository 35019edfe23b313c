// Gradients as graph passes: what the backward graph reads, what is kept for it, and how cotangents are summed.

import { describe, expect, test } from "vitest";
import {
  adamWGraph,
  adamWSettings,
  buildGraph,
  gradient,
  isTraining,
  llamaGraph,
  momentsOf,
  presets,
  type Value,
  type WeightSource,
  withLogProbabilities,
  withMoments,
} from "../src/index.ts";

const heads = { heads: 2, kvHeads: 1, headDim: 4 };
const rotation = { headDim: 4, theta: 10000, scaling: { type: "none" } } as const;

describe("the gradient of a graph", () => {
  test("of a linear: both products, from the input that is kept on the host", () => {
    const graph = buildGraph((g) => [g.linear("y", g.activations("x", 3), g.weight("w", [2, 3]))]);
    const { forward, backward, kept, cotangents, weights, inputs } = gradient(graph, { inputs: ["x"] });
    expect(forward).toEqual(graph);
    expect(kept).toEqual([]);
    expect([...cotangents]).toEqual([["y", "y.cotangent"]]);
    expect([...weights, ...inputs]).toEqual([
      ["w", "y.gradient.weight"],
      ["x", "y.gradient.x"],
    ]);
    expect(backward.nodes).toEqual([
      { op: "linearInputGrad", output: "y.gradient.x", cotangent: "y.cotangent", weight: "w" },
      { op: "linearWeightGrad", output: "y.gradient.weight", x: "x", cotangent: "y.cotangent" },
    ]);
    expect(backward.types.get("y.gradient.weight")).toEqual({ dtype: "f32", shape: [2, 3] });
    expect(backward.inputs.map(({ name }) => name)).toEqual(["x", "y.cotangent"]);
    expect(backward.outputs).toEqual(["y.gradient.weight", "y.gradient.x"]);
  });

  test("leaves out what nobody asks for, and reads no weights for it", () => {
    const graph = buildGraph((g) => [g.linear("y", g.activations("x", 3), g.weight("w", [2, 3]))]);
    expect(gradient(graph).backward.nodes.map(({ op }) => op)).toEqual(["linearWeightGrad"]);
    expect(gradient(graph).backward.weights).toEqual([]);
    const { backward } = gradient(graph, { weights: [], inputs: ["x"] });
    expect(backward.nodes.map(({ op }) => op)).toEqual(["linearInputGrad"]);
    expect(backward.inputs.map(({ name }) => name)).toEqual(["y.cotangent"]);
  });

  test("keeps what attention's gradient wants to know", () => {
    const graph = buildGraph((g) => {
      const x = g.activations("x", 8);
      const k = g.linear("k", x, g.weight("wk", [4, 8]));
      return [g.attention("y", g.rope("q", x, rotation), k, k, heads)];
    });
    const { forward, backward, kept } = gradient(graph);
    expect(kept).toEqual(["k", "q", "y", "y.logSumExp"]);
    expect(forward.outputs).toEqual(["y", "k", "q", "y.logSumExp"]);
    expect(forward.types.get("y.logSumExp")).toEqual({ dtype: "f32", shape: ["rows", 2] });
    expect(forward.nodes.filter(isTraining)).toEqual([
      { op: "attention", output: "y", q: "q", k: "k", v: "k", ...heads, logSumExp: true },
    ]);
    // Keys and values are one here, so that their gradients are added.
    expect(backward.nodes.map(({ op, output }) => [op, output])).toEqual([
      ["attentionGrad", "y.gradient"],
      ["add", "k.gradient.sum"],
      ["linearWeightGrad", "k.gradient.weight"],
    ]);
    expect(gradient(graph, { inputs: ["x"] }).backward.nodes).toContainEqual(
      expect.objectContaining({ op: "rope", output: "q.gradient", x: "y.gradient.q", backwards: true }),
    );
    expect(gradient(graph, { weights: [] }).weights.size).toBe(0);
  });

  test("has one gradient for a weight with several uses", () => {
    const graph = buildGraph((g) => {
      const w = g.weight("w", [4, 4]);
      return [g.linear("c", g.linear("b", g.linear("a", g.activations("x", 4), w), w), w)];
    });
    const { backward, weights } = gradient(graph);
    expect([...weights]).toEqual([["w", "w.gradient.sum.2"]]);
    expect(backward.nodes.filter(({ op }) => op === "add")).toEqual([
      { op: "add", output: "w.gradient.sum", a: "c.gradient.weight", b: "b.gradient.weight" },
      { op: "add", output: "w.gradient.sum.2", a: "w.gradient.sum", b: "a.gradient.weight" },
    ]);
    expect(backward.types.get("w.gradient.sum.2")).toEqual({ dtype: "f32", shape: [4, 4] });
  });

  test("is added to the gradients of micro-batches before", () => {
    const graph = buildGraph((g) => [g.linear("y", g.activations("x", 3), g.weight("w", [2, 3]))]);
    const { backward, before, weights } = gradient(graph, { accumulate: true });
    expect([...before]).toEqual([["w", "w.gradient.before"]]);
    expect(backward.inputs).toContainEqual({ name: "w.gradient.before", kind: "fixed", shape: [2, 3], width: 3 });
    expect(backward.nodes.at(-1)).toEqual({
      op: "add",
      output: weights.get("w"),
      a: "y.gradient.weight",
      b: "w.gradient.before",
    });
    expect(gradient(graph).before.size).toBe(0);
  });

  test("computes again what is not to be kept, right before it is needed", () => {
    const graph = buildGraph((g) => {
      const x = g.activations("x", 4);
      const norm = (name: string, of: Value) => g.rmsNorm(name, of, g.weight(`${name}.weight`, [4]), { eps: 1 });
      const a = norm("a.norm", x);
      const b = g.add("b", x, g.swiglu("a", a, a));
      const c = norm("b.norm", b);
      return [g.swiglu("c", c, c)];
    });
    const recompute = ["a.norm", "a", "b.norm"];
    const { forward, backward, kept } = gradient(graph, { recompute });
    expect(gradient(graph).kept).toEqual(["a.norm", "b", "b.norm"]);
    expect(kept).toEqual(["b"]);
    expect(forward.outputs).toEqual(["c", "b"]);
    expect(backward.nodes.map(({ output }) => output)).toEqual([
      "b.norm",
      "c.gradient",
      "b.norm.gradient.sum",
      "b.norm.gradient",
      "a.norm",
      "a.gradient",
      "a.norm.gradient.sum",
      "a.norm.gradient",
    ]);
    expect(() => gradient(graph, { recompute: ["d"] })).toThrow('The graph has no value "d".');
  });

  test("of a model has a gradient for each weight, in its shape; a tied table has one", () => {
    for (const tiedEmbeddings of [false, true]) {
      const config = { ...presets["llama-2-7b"], layers: 2, tiedEmbeddings };
      const graph = withLogProbabilities(llamaGraph(config));
      expect(graph.outputs).toEqual(["logProbability"]);
      expect(graph.types.has("logits")).toBe(false);
      const { backward, weights } = gradient(graph);
      for (const { name, shape } of graph.weights) {
        expect(backward.types.get(weights.get(name)!)).toEqual({ dtype: "f32", shape }); // of all
      }
      expect(weights.size).toBe(graph.weights.length);
      const tableOps = backward.nodes.filter(({ op }) => op === "embeddingGrad" || op === "logProbabilityGrad");
      expect(tableOps.map(({ op }) => op)).toEqual(["logProbabilityGrad", "embeddingGrad"]);
      expect(weights.get("tok_embeddings.weight")).toBe(
        tiedEmbeddings ? "tok_embeddings.weight.gradient.sum" : "embedding.gradient",
      );
    }
  });

  test("refuses names that the graph does not have, and ops without a gradient", () => {
    const graph = buildGraph((g) => [g.linear("y", g.activations("x", 3), g.weight("w", [2, 3]))]);
    expect(() => gradient(graph, { of: ["z"] })).toThrow('The graph has no value "z".');
    expect(() => gradient(graph, { weights: ["v"] })).toThrow('The graph has no weight "v".');
    expect(() => gradient(graph, { inputs: ["v"] })).toThrow('The graph has no value "v".');
    expect(() => gradient(gradient(graph).backward, { inputs: ["x"] })).toThrow(
      '"y.gradient.weight": the op linearWeightGrad has no gradient.',
    );
  });
});

test("log-probabilities take the place of logits that are fused with their projection", () => {
  const graph = buildGraph((g) => [g.linear("y", g.activations("x", 3), g.weight("w", [9, 3]))]);
  expect(withLogProbabilities(graph, { temperature: 0.5 }).nodes).toEqual([
    { op: "logProbability", output: "logProbability", x: "x", targets: "targets", weight: "w", temperature: 0.5 },
  ]);
  expect(() => withLogProbabilities(graph, { logits: "x" })).toThrow('"x" is no result of a linear');
  const read = buildGraph((g) => {
    const y = g.linear("y", g.activations("x", 3), g.weight("w", [3, 3]));
    return [y, g.add("z", y, y)];
  });
  expect(() => withLogProbabilities(read, { logits: "y" })).toThrow('"z" reads the logits "y"');
});

describe("AdamW as a graph", () => {
  const weights = [
    { name: "w", shape: [2, 3] },
    { name: "n", shape: [3] },
  ];

  test("updates each weight and its moments, and decays matrices alone", () => {
    const { graph, gradients, settings, squares, updates } = adamWGraph(weights, { weightDecay: 0.25 });
    expect([...gradients.values(), settings]).toEqual(graph.inputs.map(({ name }) => name));
    expect(graph.weights.map(({ name }) => name)).toEqual(weights.flatMap(({ name }) => [name, ...momentsOf(name)]));
    expect(Object.keys(updates)).toEqual(graph.weights.map(({ name }) => name));
    for (const value of Object.values(updates)) expect(graph.types.has(value)).toBe(true);
    expect(graph.nodes.flatMap((node) => (node.op === "adamw" ? [[node.weightDecay, node.squares]] : []))).toEqual([
      [0.25, squares],
      [0, squares],
    ]);
    expect([...adamWSettings(0.5, 2, { beta1: 0.5, beta2: 0.75 })]).toEqual([0.5, 0.75, 0.4375]);
    expect(() => adamWGraph([])).toThrow("There are no weights to update.");
  });

  test("finds moments of zero beside the weights of a source", async () => {
    const source: WeightSource = {
      name: "one",
      weights: new Map([["w", { name: "w", shape: [2, 3], format: "f16" }]]),
      read: async () => Uint8Array.of(7),
      locate: () => ({ path: "w", offset: 0, version: "" }),
      fingerprint: async () => "one",
    };
    const wide = withMoments(source, weights.slice(0, 1));
    const [first, second] = momentsOf("w");
    expect([...wide.weights.keys()]).toEqual(["w", first, second]);
    expect(wide.weights.get(first)).toEqual({ name: first, shape: [2, 3], format: "f32" });
    expect(await wide.read("w")).toEqual(Uint8Array.of(7));
    expect(await wide.read(second, { rows: { first: 1, count: 1 } })).toEqual(new Uint8Array(12));
    expect([wide.locate?.("w")?.path, wide.locate?.(first)]).toEqual(["w", undefined]);
    expect(await wide.fingerprint()).not.toBe("one");
  });
});
