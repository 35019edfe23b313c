import { buildGraph, type Graph, type WeightInfo, type WeightSource } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { expect, test } from "vitest";
import { reference, runWithBounds } from "../src/index.ts";

function source(
  weights: Readonly<Record<string, { shape: readonly number[]; values: readonly number[] }>>,
): WeightSource {
  const infos = Object.entries(weights).map(([name, { shape }]): [string, WeightInfo] => [
    name,
    { name, shape, format: "f32" },
  ]);
  return {
    name: "test weights",
    weights: new Map(infos),
    async read(name, { rows } = {}) {
      const { shape, values } = weights[name]!;
      const columns = shape.at(-1)!;
      const range = rows ?? { first: 0, count: values.length / columns };
      return new Uint8Array(
        Float32Array.from(values.slice(range.first * columns, (range.first + range.count) * columns)).buffer,
      );
    },
    fingerprint: async () => "test",
  };
}

async function evaluate(
  graph: Graph,
  weights: WeightSource,
  inputs: Record<string, Float64Array | Int32Array>,
  position = 0,
) {
  await using device = reference();
  await using loaded = await loadGraph(device, graph, weights);
  const rows = Object.values(inputs)[0]!.length / graph.widths.get(graph.inputs[0]!.name)!;
  const [tensor] = await loaded.run({ inputs, sequences: [{ rows, position }] }, graph.outputs);
  return Array.from(tensor!.data);
}

test("rmsNorm keeps epsilon inside the root", async () => {
  const graph = buildGraph((g) => [g.rmsNorm("y", g.activations("x", 2), g.weight("w", [2]), { eps: 7.5 })]);
  const y = await evaluate(graph, source({ w: { shape: [2], values: [1, 2] } }), { x: Float64Array.of(3, 4) });
  expect(y[0]).toBeCloseTo(3 / Math.sqrt(20), 14);
  expect(y[1]).toBeCloseTo(8 / Math.sqrt(20), 14);
});

test("rope turns interleaved pairs", async () => {
  const rotation = { headDim: 4, theta: 100, scaling: { type: "linear", factor: 2 } } as const;
  const graph = buildGraph((g) => [g.rope("y", g.activations("x", 8), rotation)]);
  const y = await evaluate(graph, source({}), { x: Float64Array.of(1, 0, 1, 0, 0, 1, 0, 1) }, 6);
  const expected = [
    Math.cos(3),
    Math.sin(3),
    Math.cos(0.3),
    Math.sin(0.3),
    -Math.sin(3),
    Math.cos(3),
    -Math.sin(0.3),
    Math.cos(0.3),
  ];
  y.forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i]!, 14);
  });
});

test("attention shares key/value heads among groups of queries and is causal", async () => {
  const graph = buildGraph((g) => [
    g.attention("y", g.activations("q", 4), g.activations("k", 2), g.activations("v", 2), {
      heads: 4,
      kvHeads: 2,
      headDim: 1,
    }),
  ]);
  const y = await evaluate(graph, source({}), {
    q: Float64Array.of(5, 5, 5, 5, 0, 1, 0, 1),
    k: Float64Array.of(0, 0, Math.log(3), Math.log(3)),
    v: Float64Array.of(1, 10, 5, 50),
  });
  [1, 1, 10, 10, 3, 4, 30, 40].forEach((expected, i) => {
    expect(y[i]).toBeCloseTo(expected, 12);
  });
});

test("swiglu, linear and add", async () => {
  const graph = buildGraph((g) => {
    const x = g.activations("x", 2);
    const up = g.linear("up", x, g.weight("w", [2, 2]));
    return [g.add("y", g.swiglu("s", x, up), x)];
  });
  const y = await evaluate(graph, source({ w: { shape: [2, 2], values: [1, 2, 3, 4] } }), {
    x: Float64Array.of(1, -1),
  });
  expect(y[0]).toBeCloseTo((1 / (1 + Math.exp(-1))) * -1 + 1, 14);
  expect(y[1]).toBeCloseTo((-1 / (1 + Math.E)) * -1 - 1, 14);
});

test("a matrix of more than 64 MiB is read in pieces, each of which counts", async () => {
  const [rows, columns] = [1030, 2 ** 14];
  const graph = buildGraph((g) => [g.linear("y", g.activations("x", columns), g.weight("w", [rows, columns]))]);
  const info = { name: "w", shape: [rows, columns], format: "f32" as const };
  const pieces: number[] = [];
  const source: WeightSource = {
    name: "numbered rows",
    weights: new Map([["w", info]]),
    async read(_, ranges) {
      const { first, count } = ranges?.rows ?? { first: 0, count: rows };
      pieces.push(count);
      const values = new Float32Array(count * columns);
      for (let row = 0; row < count; row++) values[row * columns] = first + row;
      return new Uint8Array(values.buffer);
    },
    fingerprint: async () => "",
  };
  await using device = reference();
  await using loaded = await loadGraph(device, graph, source);
  const x = new Float32Array(columns);
  x[0] = 1;
  const [y] = await loaded.run({ inputs: { x } }, ["y"]);
  expect([...y!.data]).toEqual(Array.from({ length: rows }, (_, row) => row));
  expect(pieces).toEqual([1024, 6]);
});

test("a cache says what its keys and values take as float64", async () => {
  const [heads, kvHeads, headDim] = [4, 2, 8];
  const graph = buildGraph((g) => {
    const of = (name: string, count: number) => g.activations(name, count * headDim);
    return [g.attention("y", of("q", heads), of("k", kvHeads), of("v", kvHeads), { heads, kvHeads, headDim })];
  });
  const none: WeightSource = {
    name: "none",
    weights: new Map(),
    read: () => Promise.reject(new Error("there are no weights")),
    fingerprint: async () => "",
  };
  await using device = reference();
  await using loaded = await loadGraph(device, graph, none);
  // Blocks of 16 positions, each with its token.
  expect(loaded.pool(10).bytes).toBe(16 * (2 * 8 * kvHeads * headDim + 4));
});

test("what no operation computes has a bound of zero, whatever rows are asked for", async () => {
  const graph = buildGraph((g) => [g.add("y", g.activations("a", 2), g.activations("b", 2))]);
  await using device = reference();
  await using loaded = await loadGraph(device, graph, source({}));
  const inputs = { a: Float64Array.of(1, 2, 3, 4), b: Float64Array.of(4, 2, 0, -8) };
  const rounding = { unit: 2 ** -10, flushesSubnormals: false, exp: 1 };
  const [y, a] = await runWithBounds(loaded, { inputs }, [{ value: "y", rows: "last" }, "a"], rounding);
  expect(y!.value).toEqual({ shape: [1, 2], data: Float64Array.of(3, -4) });
  expect([...y!.bound.data].map((bound) => bound / 2 ** -10)).toEqual([3, 4].map((value) => expect.closeTo(value, 6)));
  expect(a).toEqual({ value: { shape: [2, 2], data: inputs.a }, bound: { shape: [2, 2], data: new Float64Array(4) } });
});
