// Every operation alone, as a graph of one node, against float64.

import { dotError, reference } from "@polyllama/backend-reference";
import { buildGraph, type FormatName, type Graph, type Step, type Tensor } from "@polyllama/core";
import { everyFormat, type RandomSource, randomReals, randomSource } from "@polyllama/test-support/weights";
import { describe, expect, test } from "vitest";
import { onnxruntime } from "../src/index.ts";
import { emulateInt8Linear, expectWithin, judgeLinear, u } from "./support.ts";

const quantized: readonly FormatName[] = everyFormat.filter((format) => !["f32", "f16", "bf16"].includes(format));

async function compute(
  graph: Graph,
  source: RandomSource,
  step: Step,
  activations: "int8" | "f32" = "f32",
): Promise<Tensor> {
  await using backend = onnxruntime({ activations, cacheFolder: false, threads: 2 });
  await using program = await backend.compile(graph, source);
  return (await program.run(step, graph.outputs))[0]!;
}

async function exact(graph: Graph, source: RandomSource, step: Step): Promise<Float64Array> {
  await using program = await reference().compile(graph, source);
  return Float64Array.from((await program.run(step, graph.outputs))[0]!.data);
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
        const y = await compute(graph, source, { inputs: { x } });
        expect(y.shape).toEqual([rows, 131]);
        expectWithin(y.data, judgeLinear(x, source, "w"));
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
    const graph = buildGraph((g) => {
      const x = g.activations("x", 256);
      return [g.linear("a", x, g.weight("q2_k", [5, 256])), g.linear("b", x, g.weight("q4_k", [7, 256]))];
    });
    const source = randomSource(graph, (name) => name as FormatName); // named after formats
    const x = randomReals(2, 3 * 256, 3);
    await using backend = onnxruntime({ activations: "f32", cacheFolder: false });
    await using program = await backend.compile(graph, source);
    const [a, b] = await program.run({ inputs: { x } }, ["a", "b"]);
    expectWithin(a!.data, judgeLinear(x, source, "q2_k"));
    expectWithin(b!.data, judgeLinear(x, source, "q4_k"));
  });
  test.each([
    [1, 1],
    [3, 2],
    [172, 33],
    [1000, 1],
  ])("f32 with K = %i, M = %i", async (K, M) => {
    const graph = graphOf(K, M);
    const source = randomSource(graph);
    const x = randomReals(5, 3 * K);
    expectWithin((await compute(graph, source, { inputs: { x } })).data, judgeLinear(x, source, "w"));
  });
  test("extreme quants of q8_0 and zero blocks of x", async () => {
    const graph = graphOf(64, 4);
    const source = randomSource(graph, () => "q8_0");
    const bytes = source.bytes.get("w")!;
    for (let block = 0; block < 8; block++) bytes.fill(block % 2 === 0 ? 0x80 : 0x7f, block * 34 + 2, block * 34 + 34);
    const x = randomReals(9, 2 * 64, 100);
    x.fill(0, 0, 32);
    const step = { inputs: { x } };
    expectWithin((await compute(graph, source, step)).data, judgeLinear(x, source, "w"));
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
  test.each([1, 3, 64, 127, 2048])("width %i", async (D) => {
    const graph = buildGraph((g) => [g.rmsNorm("y", g.activations("x", D), g.weight("w", [D]), { eps: 1e-5 })]);
    const source = randomSource(graph);
    const step = { inputs: { x: randomReals(D, 5 * D, 4) } };
    const value = await exact(graph, source, step);
    // Half of the mean square's relative error, and a handful of roundings of the quotient.
    const bound = value.map((y) => Math.abs(y) * u * (dotError(D) / 2 + 5));
    expectWithin((await compute(graph, source, step)).data, { value, bound });
  });
  test("epsilon counts where rows are nearly zero", async () => {
    const graph = buildGraph((g) => [g.rmsNorm("y", g.activations("x", 8), g.weight("w", [8]), { eps: 1e-2 })]);
    const source = randomSource(graph);
    const step = { inputs: { x: randomReals(2, 8, 1e-4) } };
    const value = await exact(graph, source, step);
    expectWithin((await compute(graph, source, step)).data, { value, bound: value.map((y) => Math.abs(y) * u * 10) });
  });
});

test("add", async () => {
  const graph = buildGraph((g) => [g.add("y", g.activations("a", 5), g.activations("b", 5))]);
  const step = { inputs: { a: randomReals(1, 15), b: randomReals(2, 15) } };
  const value = await exact(graph, randomSource(graph), step);
  expectWithin((await compute(graph, randomSource(graph), step)).data, {
    value,
    bound: value.map((y) => Math.abs(y) * u),
  });
});

test("swiglu, from the flat to the linear part of silu", async () => {
  const graph = buildGraph((g) => [g.swiglu("y", g.activations("gate", 97), g.activations("up", 97))]);
  const gate = Float32Array.from({ length: 4 * 97 }, (_, i) => (i - 194) / 4);
  const step = { inputs: { gate, up: randomReals(2, gate.length, 3) } };
  const value = await exact(graph, randomSource(graph), step);
  const { exp } = onnxruntime().roundings;
  // The sigmoid's exponential, its sum and quotient, two products; tiny sigmoids are cut off at an absolute size.
  const bound = value.map(
    (y, i) => Math.abs(y) * u * (exp + 5) + 2 ** -28 * Math.abs(gate[i]! * step.inputs.up[i]!) * u,
  );
  expectWithin((await compute(graph, randomSource(graph), step)).data, { value, bound });
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
    const source = randomSource(graph);
    const x = randomReals(width, 9 * width);
    const step = { inputs: { x }, batch: [{ rows: 9, position }] };
    const value = await exact(graph, source, step);
    // Each output is a sum of two products with a cosine and a sine that were rounded once.
    const bound = value.map((_, i) => 4 * u * (Math.abs(x[i]!) + Math.abs(x[i ^ 1]!)));
    expectWithin((await compute(graph, source, step)).data, { value, bound });
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
    // Scores are sums of d products of numbers up to 2; an error e of a score becomes a factor exp(e).
    const score = (u * (dotError(headDim) + 10) * headDim * 4) / Math.sqrt(headDim);
    const relative = Math.expm1(2 * score) + u * (2 * onnxruntime().roundings.exp + 2 * dotError(rows) + 4);
    const step = { inputs, batch: [{ rows, position: 3 }] };
    const value = await exact(graph, source, step);
    const judged = { value, bound: value.map(() => 2 * relative) }; // weights sum to 1, values are up to 2
    expectWithin((await compute(graph, source, step)).data, judged);
  }
});
