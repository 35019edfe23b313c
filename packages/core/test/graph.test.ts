// Graphs: types of values, and what the ops' records refuse.

import { describe, expect, test } from "vitest";
import {
  appended,
  buildGraph,
  type GraphBuilder,
  type OpDef,
  operands,
  opNames,
  ops,
  parameters,
  results,
  trainingOps,
  type Value,
} from "../src/index.ts";

const heads = { heads: 4, kvHeads: 2, headDim: 8 };
const adam = { beta1: 0.9, beta2: 0.95, eps: 1e-5, weightDecay: 0, maxNorm: 1 };
const rotation = { headDim: 8, theta: 10000, scaling: { type: "none" } } as const;

/** One node of each op of inference. */
const every = buildGraph((g) => {
  const x = g.embedding("x", g.tokens("tokens"), g.weight("table", [100, 32]));
  const normed = g.rmsNorm("normed", x, g.weight("norm", [32]), { eps: 1e-5 });
  const q = g.rope("q", g.linear("wide", normed, g.weight("wq", [32, 32])), rotation);
  const k = g.linear("k", normed, g.weight("wk", [16, 32]));
  const y = g.attention("y", q, k, k, heads);
  return [g.add("sum", x, g.swiglu("gated", y, q))];
});

/** Operands of an update of a weight [4]. */
function updated(g: GraphBuilder, gradient: readonly number[], squares: readonly number[]) {
  const inputs = [g.fixed("g", gradient), g.fixed("squares", squares), g.fixed("settings", [3])] as const;
  return [...inputs, g.weight("w", [4]), g.weight("m", [4]), g.weight("v", [4])] as const;
}

/** Written as gradients are: cotangents of operands from those of the results, by records alone. */
const doubled: OpDef<{ readonly by: number }, ["x"], ["weight"]> = {
  inputs: ["x"],
  parameters: ["weight"],
  results: ["out"],
  infer: ({ x }) => ({ out: x }),
  vjp(g, { output, x, by, results: { out } }, cotangents) {
    if (cotangents.out === undefined || by === 0 || out.width !== x.width) return {};
    return { x: g.apply(ops.add, `${output}.x`, { a: cotangents.out, b: cotangents.out }, {}).out };
  },
};

describe("a graph", () => {
  test("has the type of every value", () => {
    expect(every.types.get("tokens")).toEqual({ dtype: "i32", shape: ["rows"] });
    expect(every.types.get("k")).toEqual({ dtype: "f32", shape: ["rows", 16] });
    expect([...every.widths]).toEqual([...every.types].map(([name, { shape }]) => [name, shape[1] ?? 1]));
    expect([...every.types.keys()]).toEqual(["tokens", ...every.nodes.flatMap(results)]);
  });

  test("names the operands of its nodes by their roles", () => {
    const inference = opNames.filter((op) => !trainingOps.some((other) => other === op));
    expect(new Set(every.nodes.map(({ op }) => op))).toEqual(new Set(inference));
    const read = Object.fromEntries(every.nodes.map((node) => [node.output, [operands(node), parameters(node)]]));
    expect(read["x"]).toEqual([["tokens"], ["table"]]);
    expect(read["normed"]).toEqual([["x"], ["norm"]]);
    expect(read["y"]).toEqual([["q", "k", "k"], []]);
    expect(every.nodes.map(appended)).toEqual([[], [], [], [], [], ["k", "k"], [], []]);
    expect(every.nodes.at(-1)).toEqual({ op: "add", output: "sum", a: "x", b: "gated" });
    expect(every.nodes[1]).toEqual({ op: "rmsNorm", output: "normed", x: "x", weight: "norm", eps: 1e-5 });
  });

  test("can be copied node by node", () => {
    const copied = buildGraph((g) => {
      const values = new Map<string, Value>([["tokens", g.tokens("tokens")]]);
      const weight = (name: string) => g.weight(name, every.weights.find((spec) => spec.name === name)!.shape);
      for (const node of every.nodes) {
        for (const value of g.copy(node, (name) => values.get(name)!, weight)) values.set(value.name, value);
      }
      return [values.get("sum")!];
    });
    expect(copied).toEqual(every);
  });

  test("can be built from records", () => {
    const [applied, called] = [true, false].map((byRecord) =>
      buildGraph((g) => {
        const [x, weight] = [g.activations("x", 32), g.weight("w", [16, 32])];
        const y = byRecord ? g.apply(ops.linear, "y", { x, weight }, {}).out : g.linear("y", x, weight);
        return [byRecord ? g.apply(ops.rope, "z", { x: y }, rotation).out : g.rope("z", y, rotation)];
      }),
    );
    expect(applied).toEqual(called);
    const build = () =>
      buildGraph((g) => [
        g.apply(doubled, "y", { x: g.activations("x", 1), weight: g.weight("w", [1]) }, { by: 2 }).out,
      ]);
    expect(build).toThrow('"y": its op is not in the list of ops.');
  });
});

test.each<[string, (g: GraphBuilder, x: Value, tokens: Value) => Value]>([
  ["embedding takes tokens [N], not f32 [rows, 32]", (g, x) => g.embedding("y", x, g.weight("w", [9, 32]))],
  ["embedding wants a table [V, D], not [9]", (g, _, tokens) => g.embedding("y", tokens, g.weight("w", [9]))],
  ["rmsNorm of width 32 has weight [31]", (g, x) => g.rmsNorm("y", x, g.weight("w", [31]), { eps: 1 })],
  ["rmsNorm of width 32 has weight [32,1]", (g, x) => g.rmsNorm("y", x, g.weight("w", [32, 1]), { eps: 1 })],
  ["linear of width 32 has weight [32,31]", (g, x) => g.linear("y", x, g.weight("w", [32, 31]))],
  ["linear of width 32 has weight [32]", (g, x) => g.linear("y", x, g.weight("w", [32]))],
  [
    "linear takes rows of reals [N, width] as x, not i32 [rows]",
    (g, _, tokens) => g.linear("y", tokens, g.weight("w", [1, 1])),
  ],
  ["rope of heads of 7 over width 32", (g, x) => g.rope("y", x, { ...rotation, headDim: 7 })],
  ["rope of heads of 12 over width 32", (g, x) => g.rope("y", x, { ...rotation, headDim: 12 })],
  [
    "4 query heads cannot share 3 key/value heads evenly",
    (g, x) => g.attention("y", x, x, x, { ...heads, kvHeads: 3 }),
  ],
  ["attention has q of width 32, not 8 x 8", (g, x) => g.attention("y", x, x, x, { ...heads, heads: 8 })],
  ["attention has k of width 32, not 2 x 8", (g, x) => g.attention("y", x, x, x, heads)],
  ["attention has v of width 32, not 2 x 8", (g, x) => g.attention("y", x, g.activations("k", 16), x, heads)],
  ["swiglu of widths 32 and 16", (g, x) => g.swiglu("y", x, g.activations("up", 16))],
  ["add of widths 32 and 16", (g, x) => g.add("y", x, g.activations("b", 16))],
  ["add of f32 [rows, 32] and f32 [4, 32]", (g, x) => g.add("y", x, g.fixed("b", [4, 32]))],
  ["linearInputGrad of width 32 has weight [31,4]", (g, x) => g.linearInputGrad("y", x, g.weight("w", [31, 4]))],
  [
    "linearWeightGrad takes rows of reals [N, width] as cotangent, not i32 [rows]",
    (g, x, tokens) => g.linearWeightGrad("y", x, tokens),
  ],
  ["embeddingGrad takes tokens [N], not f32 [rows, 32]", (g, x) => g.embeddingGrad("y", x, x, { tableRows: 9 })],
  [
    "rmsNormGrad of widths 32 and 16",
    (g, x) => g.rmsNormGrad("y", x, g.activations("dy", 16), g.weight("w", [32]), { eps: 1 }).x,
  ],
  ["rmsNormGrad of width 32 has weight [31]", (g, x) => g.rmsNormGrad("y", x, x, g.weight("w", [31]), { eps: 1 }).x],
  ["swigluGrad of widths 32, 32, 16", (g, x) => g.swigluGrad("y", x, x, g.activations("dy", 16)).up],
  ["attentionGrad has k of width 32, not 16", (g, x) => g.attentionGrad("y", x, x, x, x, x, x, heads).q],
  [
    "attentionGrad has logSumExp of width 32, not 4",
    (g, x) => {
      const k = g.activations("k", 16);
      return g.attentionGrad("y", x, k, k, x, x, x, heads).q;
    },
  ],
  [
    "logProbability takes targets [N], not f32 [rows, 32]",
    (g, x) => g.logProbability("y", x, x, g.weight("w", [9, 32]), { temperature: 1 }),
  ],
  [
    "logProbability of width 32 has weight [9,31]",
    (g, x, tokens) => g.logProbability("y", x, tokens, g.weight("w", [9, 31]), { temperature: 1 }),
  ],
  [
    "logProbability of temperature 0",
    (g, x, tokens) => g.logProbability("y", x, tokens, g.weight("w", [9, 32]), { temperature: 0 }),
  ],
  [
    "logProbabilityGrad has logSumExp of width 32, not 1",
    (g, x, tokens) => g.logProbabilityGrad("y", x, tokens, x, x, g.weight("w", [9, 32]), { temperature: 1 }).x,
  ],
  ["sumOfSquares takes reals, not i32 [rows]", (g, _, tokens) => g.sumOfSquares("y", tokens)],
  ["adamw of a weight [4] has gradient f32 [5]", (g) => g.adamw("y", ...updated(g, [5], [1]), adam).weight],
  ["adamw takes squares [1], not f32 [2]", (g) => g.adamw("y", ...updated(g, [4], [2]), adam).weight],
  ["adamw of gradients up to 0", (g) => g.adamw("y", ...updated(g, [4], [1]), { ...adam, maxNorm: 0 }).weight],
])("%s", (message, build) => {
  const graph = () => buildGraph((g) => [build(g, g.activations("x", 32), g.tokens("tokens"))]);
  expect(graph).toThrow(expect.objectContaining({ code: "ERR_GRAPH", message: `"y": ${message}.` }));
});

test("names are used once", () => {
  expect(() => buildGraph((g) => [g.tokens("x"), g.tokens("x")])).toThrow('The value "x" is defined twice.');
  const shapes = () =>
    buildGraph((g) => {
      g.weight("w", [1]);
      g.weight("w", [2]);
      return [];
    });
  expect(shapes).toThrow('The weight "w" is used as [2] and as [1].');
});

test("a gradient is more of the graph", () => {
  const graph = buildGraph((g) => {
    const [x, dy, weight] = [g.activations("x", 4), g.activations("dy", 4), g.weight("w", [4])];
    const { x: dx } = doubled.vjp!(g, { output: "y", x, weight, by: 2, results: { out: x } }, { out: dy });
    return [dx!];
  });
  expect(graph.nodes).toEqual([{ op: "add", output: "y.x", a: "dy", b: "dy" }]);
});
