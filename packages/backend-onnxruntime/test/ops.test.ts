// Every operation alone, as a graph of one node, against float64.

import { reference } from "@polyllama/backend-reference";
import { estimateTolerance, worstShare } from "@polyllama/conformance";
import { buildGraph, type FormatName, type Graph, type Tensor } from "@polyllama/core";
import { type HostStep, loadGraph } from "@polyllama/core/device";
import { everyFormat, type RandomSource, randomReals, randomSource } from "@polyllama/test-support/weights";
import { describe, expect, test } from "vitest";
import { onnxruntime } from "../src/index.ts";
import { emulateInt8Linear, expectWithin, judge } from "./support.ts";

const quantized: readonly FormatName[] = everyFormat.filter((format) => !["f32", "f16", "bf16"].includes(format));

type Activations = "int8" | "f32";

const create = (activations: Activations = "f32") => onnxruntime({ activations, cacheFolder: false, threads: 2 });

async function compute(
  graph: Graph,
  source: RandomSource,
  step: HostStep,
  activations: Activations = "f32",
): Promise<Tensor> {
  await using device = create(activations);
  await using loaded = await loadGraph(device, graph, source);
  const [value] = await loaded.run(step, graph.outputs);
  return value!; // graphs of one output
}

/** Holds what an operation gives in f32 to its derived bound. */
async function expectRight(graph: Graph, source: RandomSource, step: HostStep): Promise<void> {
  expectWithin((await compute(graph, source, step)).data, await judge(graph, source, step, create()));
}

async function exact(graph: Graph, source: RandomSource, step: HostStep): Promise<Float64Array> {
  await using device = reference();
  await using loaded = await loadGraph(device, graph, source);
  return Float64Array.from((await loaded.run(step, graph.outputs))[0]!.data);
}

describe("linear", () => {
  const graphOf = (K: number, M: number) =>
    buildGraph((g) => [g.linear("y", g.activations("x", K), g.weight("w", [M, K]))]);

  for (const format of everyFormat) {
    for (const rows of [1, 7, 40]) {
      test(`${format}, ${rows} rows, f32 activations`, async () => {
        const K = format.endsWith("_k") ? 512 : 320;
        const graph = graphOf(K, 131);
        const source = randomSource(graph, () => format, 3);
        const x = randomReals(rows, rows * K, 3);
        const step = { inputs: { x } };
        const y = await compute(graph, source, step);
        expect(y.shape).toEqual([rows, 131]);
        expectWithin(y.data, await judge(graph, source, step, create()));
      });
    }
  }
  for (const format of quantized) {
    for (const rows of [1, 7, 40]) {
      test(`${format}, ${rows} rows, int8 activations`, async () => {
        const K = format.endsWith("_k") ? 512 : 320;
        const graph = graphOf(K, 131);
        const source = randomSource(graph, () => format, 4);
        const x = randomReals(rows + 1, rows * K, 3);
        const y = await compute(graph, source, { inputs: { x } }, "int8");
        expectWithin(y.data, emulateInt8Linear(x, source, "w"));
      });
    }
  }
  test("formats with offsets of different blocks over the same input", async () => {
    const linears = (outputs: readonly ("q2_k" | "q4_k")[]) =>
      buildGraph((g) => {
        const x = g.activations("x", 256);
        return outputs.map((format) => g.linear(`${format} x`, x, g.weight(format, [format === "q2_k" ? 5 : 7, 256])));
      });
    const both = ["q2_k", "q4_k"] as const;
    const source = randomSource(linears(both), (name) => name as FormatName); // named after formats
    const step = { inputs: { x: randomReals(2, 3 * 256, 3) } };
    await using device = create();
    await using loaded = await loadGraph(device, linears(both), source);
    const values = await loaded.run(step, ["q2_k x", "q4_k x"]);
    for (const [i, format] of both.entries()) {
      expectWithin(values[i]!.data, await judge(linears([format]), source, step, device)); // one for each
    }
  });
  test.each([
    [1, 1],
    [3, 2],
    [172, 33],
    [1000, 1],
  ])("f32 with K = %i, M = %i", async (K, M) => {
    const graph = graphOf(K, M);
    const source = randomSource(graph);
    await expectRight(graph, source, { inputs: { x: randomReals(5, 3 * K) } });
  });
  test("extreme quants of q8_0 and zero blocks of x", async () => {
    const graph = graphOf(64, 4);
    const source = randomSource(graph, () => "q8_0");
    const bytes = source.bytes.get("w")!;
    for (let block = 0; block < 8; block++) bytes.fill(block % 2 === 0 ? 0x80 : 0x7f, block * 34 + 2, block * 34 + 34);
    const x = randomReals(9, 2 * 64, 100);
    x.fill(0, 0, 32);
    const step = { inputs: { x } };
    await expectRight(graph, source, step);
    expectWithin((await compute(graph, source, step, "int8")).data, emulateInt8Linear(x, source, "w"));
  });
});

describe("embedding", () => {
  test.each(everyFormat)("%s is exact", async (format) => {
    const graph = buildGraph((g) => [g.embedding("y", g.tokens("t"), g.weight("table", [37, 256]))]);
    const source = randomSource(graph, () => format);
    const step = { inputs: { t: Int32Array.of(0, 36, 5, 5, 4, 36) } };
    expect(Float64Array.from((await compute(graph, source, step)).data)).toEqual(await exact(graph, source, step));
  });
  test("of a table too large to keep reads the rows it needs, each once", async () => {
    const graph = buildGraph((g) => [g.embedding("y", g.tokens("t"), g.weight("table", [5000, 256]))]);
    const source = randomSource(graph);
    const step = { inputs: { t: Int32Array.of(4999, 0, 17, 4999, 18, 0) } };
    const y = await compute(graph, source, step);
    expect(source.reads).toBe(3);
    expect(Float64Array.from(y.data)).toEqual(await exact(graph, source, step));
  });
  test("a token outside the table is refused by number and row", async () => {
    const graph = buildGraph((g) => [g.embedding("y", g.tokens("t"), g.weight("table", [37, 8]))]);
    const failing = compute(graph, randomSource(graph), { inputs: { t: Int32Array.of(1, 37) } });
    await expect(failing).rejects.toMatchObject({ code: "ERR_GRAPH", message: expect.stringMatching(/37 in row 1/) });
  });
});

describe("rmsNorm", () => {
  const normOf = (D: number, eps: number) =>
    buildGraph((g) => [g.rmsNorm("y", g.activations("x", D), g.weight("w", [D]), { eps })]);

  test.each([1, 3, 64, 127, 2048])("width %i", async (D) => {
    const graph = normOf(D, 1e-5);
    await expectRight(graph, randomSource(graph), { inputs: { x: randomReals(D, 5 * D, 4) } });
  });
  test("epsilon counts where rows are nearly zero", async () => {
    const graph = normOf(8, 1e-2);
    await expectRight(graph, randomSource(graph), { inputs: { x: randomReals(2, 8, 1e-4) } });
  });
});

test("add", async () => {
  const graph = buildGraph((g) => [g.add("y", g.activations("a", 5), g.activations("b", 5))]);
  await expectRight(graph, randomSource(graph), { inputs: { a: randomReals(1, 15), b: randomReals(2, 15) } });
});

test("swiglu, from the flat to the linear part of silu", async () => {
  const graph = buildGraph((g) => [g.swiglu("y", g.activations("gate", 97), g.activations("up", 97))]);
  const gate = Float32Array.from({ length: 4 * 97 }, (_, i) => (i - 194) / 4);
  await expectRight(graph, randomSource(graph), { inputs: { gate, up: randomReals(2, gate.length, 3) } });
});

describe("rope", () => {
  for (const headDim of [2, 4, 6, 8, 12, 16, 64, 128]) {
    test(`heads of ${headDim}`, async () => {
      const rotation = { headDim, theta: 10000, scaling: { type: "none" } } as const;
      await check(rotation, 3 * headDim, 0);
      await check(rotation, headDim, 1000);
    });
  }
  test("linear scaling and another base", async () => {
    await check({ headDim: 32, theta: 500000, scaling: { type: "linear", factor: 4 } }, 64, 4093);
  });

  async function check(
    rotation: Parameters<Parameters<Parameters<typeof buildGraph>[0]>[0]["rope"]>[2],
    width: number,
    position: number,
  ): Promise<void> {
    const graph = buildGraph((g) => [g.rope("y", g.activations("x", width), rotation)]);
    const step = { inputs: { x: randomReals(width, 9 * width) }, sequences: [{ rows: 9, position }] };
    await expectRight(graph, randomSource(graph), step);
  }
});

describe("attention", () => {
  for (const headDim of [2, 4, 6, 8, 10, 12, 16, 24, 32, 48, 64, 80, 96, 128]) {
    for (const [heads, kvHeads] of [
      [4, 4],
      [4, 2],
      [4, 1],
      [1, 1],
    ] as const) {
      test(`${heads} heads of ${headDim} on ${kvHeads}`, async () => {
        await check({ heads, kvHeads, headDim }, false);
        await check({ heads, kvHeads, headDim }, true);
      });
    }
  }

  async function check(shape: { heads: number; kvHeads: number; headDim: number }, rotate: boolean): Promise<void> {
    const { heads, kvHeads, headDim } = shape;
    const rotation = { headDim, theta: 10000, scaling: { type: "none" } } as const;
    const graph = buildGraph((g) => {
      const q = g.activations("q", heads * headDim);
      const k = g.activations("k", kvHeads * headDim);
      const v = g.activations("v", kvHeads * headDim);
      return rotate
        ? [g.attention("y", g.rope("qr", q, rotation), g.rope("kr", k, rotation), v, shape)]
        : [g.attention("y", q, k, v, shape)];
    });
    const source = randomSource(graph);
    const rows = 19;
    const inputs = {
      q: randomReals(1, rows * heads * headDim, 2),
      k: randomReals(2, rows * kvHeads * headDim, 2),
      v: randomReals(3, rows * kvHeads * headDim, 2),
    };
    const sequences = [{ rows, position: 3 }];
    const step = { inputs, sequences };
    if (!rotate) return expectRight(graph, source, step);
    const tolerance = await estimateTolerance(graph, source, step, "y", create().roundings, { runs: 4 });
    expect(worstShare(await compute(graph, source, step), tolerance)).toBeLessThanOrEqual(1);
  }
});
