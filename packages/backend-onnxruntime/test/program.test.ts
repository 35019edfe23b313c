// Whole models: that how a computation is cut into runs does not matter, and that programs, caches and runs behave as the
// contract says. Tolerances come from reference runs perturbed within the backend's declared roundings.

import { estimateTolerance, worstShare } from "@polyllama/conformance";
import {
  buildGraph,
  type FormatName,
  type Graph,
  type KvCache,
  type LlamaConfig,
  llamaGraph,
  type Program,
  type RealArray,
  type Step,
  type Tensor,
} from "@polyllama/core";
import { tinyConfig } from "@polyllama/test-support/tiny-model";
import { type RandomSource, randomReals, randomSource } from "@polyllama/test-support/weights";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { EmbeddingTable } from "../src/embedding.ts";
import { type OnnxRuntimeOptions, onnxruntime } from "../src/index.ts";
import { Session } from "../src/ort/session.ts";
import { argmax } from "./support.ts";

const config: LlamaConfig = { ...tinyConfig, contextLength: 4096 };

interface Model {
  readonly graph: Graph;
  readonly source: RandomSource;
  readonly program: Program;
}

async function load(
  { format = "f32", ...changes }: Partial<LlamaConfig> & { format?: FormatName } = {},
  options: OnnxRuntimeOptions = {},
): Promise<Model> {
  const graph = llamaGraph({ ...config, ...changes });
  const source = randomSource(graph, () => format, 7);
  const backend = onnxruntime({ cacheFolder: false, threads: 2, activations: "f32", ...options });
  onTestFinished(() => backend[Symbol.asyncDispose]());
  return { graph, source, program: await backend.compile(graph, source) };
}

function tokens(count: number, seed = 1): Int32Array {
  return Int32Array.from(randomReals(seed, count), (x) => Math.floor(((x + 1) / 2) * 131));
}

/** Feeds tokens in chunks; logits of all rows. */
async function feed({ program }: Model, cache: KvCache, ids: Int32Array, chunk: number): Promise<Tensor> {
  const logits: number[] = [];
  for (let at = 0; at < ids.length; at += chunk) {
    const part = ids.subarray(at, at + chunk);
    const step = { inputs: { tokens: part }, batch: [{ rows: part.length, cache }] };
    for (const logit of (await program.run(step, ["logits"]))[0]!.data) logits.push(logit);
  }
  return { shape: [ids.length, logits.length / ids.length], data: Float32Array.from(logits) };
}

/** Greedy continuation. */
async function generate(program: Program, cache: KvCache, first: number, count: number): Promise<number[]> {
  const ids = [first];
  while (ids.length <= count) {
    const step = { inputs: { tokens: Int32Array.of(ids.at(-1)!) }, batch: [{ rows: 1, cache }] };
    const [logits] = await program.run(step, [{ value: "logits", rows: "last" }]);
    ids.push(argmax(logits!.data));
  }
  return ids.slice(1);
}

/** Exact values and how far the backend may be from them, which declares f32's roundings or, where they are named, others. */
function expected(
  { graph, source }: Model,
  step: Step,
  value = "logits",
  { activations = "f32" }: OnnxRuntimeOptions = {},
) {
  return estimateTolerance(graph, source, step, value, onnxruntime({ activations }).roundings, { runs: 8 });
}

describe("the same logits however the prompt is cut", () => {
  for (const headDim of [16, 8, 6]) {
    test(`f32, heads of ${headDim}`, async () => {
      const model = await load({ headDim });
      const ids = tokens(130);
      const tolerance = await expected(model, { inputs: { tokens: ids } });
      for (const chunk of [1, 7, 64, 130]) {
        const logits = await feed(model, model.program.createCache(140), ids, chunk);
        expect(worstShare(logits, tolerance), `chunks of ${chunk}`).toBeLessThanOrEqual(1);
      }
      const [alone] = await model.program.run({ inputs: { tokens: ids } }, ["logits"]);
      expect(worstShare(alone!, tolerance), "without a cache").toBeLessThanOrEqual(1);
    });
  }
  for (const format of ["q4_0", "q8_0"] as const) {
    test(`${format}, int8 activations`, async () => {
      const model = await load({ format }, { activations: "int8" });
      const ids = tokens(70);
      const tolerance = await expected(model, { inputs: { tokens: ids } }, "logits", { activations: "int8" });
      for (const chunk of [1, 7, 64, 70]) {
        const logits = await feed(model, model.program.createCache(80), ids, chunk);
        expect(worstShare(logits, tolerance), `chunks of ${chunk}`).toBeLessThanOrEqual(1);
      }
    });
  }
  test("prompts longer than the rows that are computed at once", async () => {
    const model = await load({ layers: 1, dim: 16, heads: 2, kvHeads: 1, headDim: 8, hiddenDim: 16 });
    const ids = tokens(560);
    const tolerance = await expected(model, { inputs: { tokens: ids } });
    for (const chunk of [300, 560]) {
      const logits = await feed(model, model.program.createCache(560), ids, chunk);
      expect(worstShare(logits, tolerance), `chunks of ${chunk}`).toBeLessThanOrEqual(1);
    }
  });
});

describe("values", () => {
  test("any value can be asked for, also ones that are fused away", async () => {
    const model = await load({ layers: 1 });
    const ids = tokens(9);
    const step = { inputs: { tokens: ids } };
    for (const value of [...model.graph.widths.keys()]) {
      const tolerance = await expected(model, step, value);
      const cache = model.program.createCache(16);
      const [alone] = await model.program.run(step, [value]);
      const [cached] = await model.program.run({ ...step, batch: [{ rows: 9, cache }] }, [value]);
      expect(worstShare(alone!, tolerance), value).toBeLessThanOrEqual(1);
      expect(worstShare(cached!, tolerance), `${value}, with a cache`).toBeLessThanOrEqual(1);
      cache[Symbol.dispose]();
    }
  });
  test("last rows are the last of all rows, whatever is asked for beside them", async () => {
    const model = await load();
    const { program } = model;
    const step = { inputs: { tokens: tokens(11) }, batch: [{ rows: 4 }, { rows: 7 }] };
    const last = (value: string) => ({ value, rows: "last" }) as const;
    const [logits, few, k, fewK, embedding, fewTokens] = await program.run(step, [
      "logits",
      last("logits"),
      "layers.1.k",
      last("layers.1.k"),
      last("embedding"),
      last("tokens"),
    ]);
    const [alone, both] = [
      (await program.run(step, [last("logits")]))[0]!,
      await program.run(step, [last("logits"), "layers.1.h"]),
    ];
    const rowsOf = (data: RealArray, width: number, rows: readonly number[]) =>
      rows.flatMap((row) => Array.from(data.subarray(row * width, (row + 1) * width)));
    expect(few!.shape).toEqual([2, 131]);
    expect(Array.from(few!.data)).toEqual(rowsOf(logits!.data, 131, [3, 10]));
    expect(Array.from(fewK!.data)).toEqual(rowsOf(k!.data, 32, [3, 10]));
    expect(embedding!.shape).toEqual([2, 64]);
    expect(Array.from(fewTokens!.data)).toEqual([step.inputs.tokens[3], step.inputs.tokens[10]]);
    const { exact, perRow } = await expected(model, step);
    const ends = {
      exact: { shape: few!.shape, data: Float64Array.from(rowsOf(exact.data, 131, [3, 10])) },
      perRow: Float64Array.of(perRow[3]!, perRow[10]!),
    };
    expect(worstShare(alone, ends)).toBeLessThanOrEqual(1);
    expect(worstShare(both[0]!, ends)).toBeLessThanOrEqual(1);
    expect(both[1]!.shape).toEqual([11, 64]);
  });
  test("nothing may be asked for; the cache fills all the same", async () => {
    const { program } = await load();
    const [filled, other] = [program.createCache(8), program.createCache(8)];
    const ids = tokens(6);
    expect(await program.run({ inputs: { tokens: ids }, batch: [{ rows: 6, cache: filled }] }, [])).toEqual([]);
    await program.run({ inputs: { tokens: ids }, batch: [{ rows: 6, cache: other }] }, ["logits"]);
    expect(filled.length).toBe(6);
    expect(await generate(program, filled, 3, 2)).toEqual(await generate(program, other, 3, 2));
  });
  test("an inner value asked for with a cache still fills every layer's", async () => {
    const { program } = await load();
    const [filled, other] = [program.createCache(16), program.createCache(16)];
    const ids = tokens(6);
    await program.run({ inputs: { tokens: ids }, batch: [{ rows: 6, cache: filled }] }, ["layers.0.q_rope"]);
    await program.run({ inputs: { tokens: ids }, batch: [{ rows: 6, cache: other }] }, ["logits"]);
    expect(await generate(program, filled, 3, 8)).toEqual(await generate(program, other, 3, 8));
  });
  test("values of the first compile can be chosen, and Float64Array is taken", async () => {
    const graph = buildGraph((g) => {
      const x = g.activations("x", 8);
      const w = g.weight("w", [8, 8]);
      const once = g.linear("once", x, w);
      return [g.add("sum", g.linear("twice", once, w), g.swiglu("s", x, once))];
    });
    const source = randomSource(graph);
    await using backend = onnxruntime({ cacheFolder: false });
    const program = await backend.compile(graph, source, { wanted: ["twice"] });
    const inputs = { x: Float64Array.from(randomReals(1, 24)) };
    const [twice, sum, x] = await program.run({ inputs }, ["twice", "sum", "x"]);
    for (const [name, value] of Object.entries({ twice, sum })) {
      const tolerance = await estimateTolerance(graph, source, { inputs }, name, backend.roundings);
      expect(worstShare(value!, tolerance), name).toBeLessThanOrEqual(1);
    }
    expect(Array.from(x!.data)).toEqual(Array.from(inputs.x));
  });
  test("positions of sequences without a cache turn q and k alone", async () => {
    const model = await load();
    const ids = tokens(20);
    const at = (position: number): Step => ({ inputs: { tokens: ids }, batch: [{ rows: 20, position }] });
    for (const value of ["layers.0.q_rope", "logits"]) {
      const [far] = await model.program.run(at(5000), [value]);
      expect(worstShare(far!, await expected(model, at(5000), value)), value).toBeLessThanOrEqual(1);
    }
    const [near] = await model.program.run(at(0), ["layers.0.q_rope"]);
    expect(worstShare(near!, await expected(model, at(5000), "layers.0.q_rope"))).toBeGreaterThan(1);
  });
  test("tied embeddings, an odd vocabulary and weights used twice", async () => {
    const model = await load({ tiedEmbeddings: true, format: "q8_0" });
    const step = { inputs: { tokens: tokens(12) } };
    const [logits] = await model.program.run(step, ["logits"]);
    expect(worstShare(logits!, await expected(model, step))).toBeLessThanOrEqual(1);
  });
});

describe("caches", () => {
  test("rewinding and generating again gives the same tokens", async () => {
    const model = await load();
    const cache = model.program.createCache(64);
    await feed(model, cache, tokens(20), 20);
    const first = await generate(model.program, cache, 5, 20);
    cache.truncate(20);
    expect(await generate(model.program, cache, 5, 20)).toEqual(first);
    cache.truncate(20);
    await feed(model, cache, tokens(9, 2), 9);
    cache.truncate(20);
    expect(await generate(model.program, cache, 5, 20)).toEqual(first);
  });
  test("a fork and its parent do not disturb each other", async () => {
    const model = await load({ headDim: 6 });
    const { program } = model;
    const parent = program.createCache(64);
    await feed(model, parent, tokens(20), 20);
    const fork = await parent.fork();
    expect(fork.length).toBe(20);
    const untouched = await parent.fork();
    const straight = await generate(program, untouched, 5, 15);
    await feed(model, fork, tokens(30, 9), 7);
    expect(await generate(program, parent, 5, 15)).toEqual(straight);
    fork.truncate(20);
    parent[Symbol.dispose]();
    expect(await generate(program, fork, 5, 15)).toEqual(straight);
  });
  test("two sequences in one step equal each alone, bit for bit", async () => {
    const { program } = await load();
    const caches = [1, 2, 3, 4].map(() => program.createCache(32)) as [KvCache, KvCache, KvCache, KvCache];
    const [a, b] = [tokens(5, 1), tokens(9, 2)];
    const run = async (ids: Int32Array, batch: { rows: number; cache: KvCache }[]) =>
      (await program.run({ inputs: { tokens: ids }, batch }, ["logits"]))[0]!.data;
    const both = await run(Int32Array.of(...a, ...b), [
      { rows: 5, cache: caches[0] },
      { rows: 9, cache: caches[1] },
    ]);
    const alone = [
      ...(await run(a, [{ rows: 5, cache: caches[2] }])),
      ...(await run(b, [{ rows: 9, cache: caches[3] }])),
    ];
    expect(Array.from(both)).toEqual(alone);
    expect(caches.map(({ length }) => length)).toEqual([5, 9, 5, 9]);
  });
  test("runs of different caches at once equal runs in turn", async () => {
    const { program } = await load();
    const starts = [3, 60, 100];
    const inTurn: number[][] = [];
    for (const start of starts) inTurn.push(await generate(program, program.createCache(24), start, 20));
    const atOnce = await Promise.all(starts.map((start) => generate(program, program.createCache(24), start, 20)));
    expect(atOnce).toEqual(inTurn);
  });
  test("sizes, and what is refused", async () => {
    const { program } = await load({ headDim: 6 });
    const cache = program.createCache(16);
    expect(cache.bytes).toBe(2 * 2 * 2 * 8 * 16 * 4 + 16 * 4); // keys and values, layers, heads, padded width, capacity, f32; tokens
    expect(() => program.createCache(16, { format: "f16" })).toThrow(
      expect.objectContaining({ code: "ERR_UNSUPPORTED" }),
    );
    expect(() => program.createCache(0)).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
    expect(() => cache.truncate(1)).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
    const step = { inputs: { tokens: tokens(17) }, batch: [{ rows: 17, cache }] };
    await expect(program.run(step, ["logits"])).rejects.toMatchObject({
      code: "ERR_CONTEXT",
      needed: 17,
      available: 16,
    });
    expect(cache.length).toBe(0);
    const stranger = (await load()).program.createCache(4);
    const foreign = program.run({ inputs: { tokens: tokens(1) }, batch: [{ rows: 1, cache: stranger }] }, ["logits"]);
    await expect(foreign).rejects.toMatchObject({ code: "ERR_GRAPH" });
  });
  test("a cache in use is busy, for runs, rewinds and forks", async () => {
    const { program } = await load();
    const cache = program.createCache(64);
    const step = { inputs: { tokens: tokens(20) }, batch: [{ rows: 20, cache }] };
    const running = program.run(step, ["logits"]);
    const busy = { code: "ERR_BUSY" };
    await expect(program.run(step, ["logits"])).rejects.toMatchObject(busy);
    await expect(cache.fork()).rejects.toMatchObject(busy);
    expect(() => cache.truncate(0)).toThrow(expect.objectContaining(busy));
    cache[Symbol.dispose](); // takes effect when the run has ended
    await running;
    await expect(program.run(step, ["logits"])).rejects.toMatchObject({ code: "ERR_DISPOSED" });
  });
  test("a run that fails leaves every cache as it was", async () => {
    const { program } = await load();
    const [good, full] = [program.createCache(8), program.createCache(2)];
    const batch = [
      { rows: 2, cache: good },
      { rows: 3, cache: full },
    ];
    await expect(program.run({ inputs: { tokens: tokens(5) }, batch }, ["logits"])).rejects.toMatchObject({
      code: "ERR_CONTEXT",
    });
    expect(good.length).toBe(0);
    await program.run({ inputs: { tokens: tokens(2) }, batch: [{ rows: 2, cache: good }] }, []);
    expect(good.length).toBe(2);
  });
});

describe("cancellation", () => {
  test("in the middle of a long prefill; the model stays usable", async () => {
    const model = await load({ dim: 256, headDim: 64, hiddenDim: 1024, layers: 4 });
    const { program } = model;
    const cache = program.createCache(2100);
    await feed(model, cache, tokens(10), 10);
    const before = await generate(program, await cache.fork(), 5, 5);
    const reason = new Error("enough");
    const controller = new AbortController();
    const step = { inputs: { tokens: tokens(2000) }, batch: [{ rows: 2000, cache }] };
    const running = program.run(step, [{ value: "logits", rows: "last" }], { signal: controller.signal });
    setTimeout(() => controller.abort(reason), 30);
    await expect(running).rejects.toBe(reason);
    expect(cache.length).toBe(10);
    expect(await generate(program, cache, 5, 5)).toEqual(before);
  });
  test("before it starts, and while waiting for another run's turn", async () => {
    const { program } = await load();
    const reason = new Error("no");
    const step = { inputs: { tokens: tokens(4) } };
    const stopped = { signal: AbortSignal.abort(reason) };
    await expect(program.run(step, ["logits"], stopped)).rejects.toBe(reason);
    const controller = new AbortController();
    const first = program.run({ inputs: { tokens: tokens(500) } }, ["logits"]);
    const second = program.run(step, ["logits"], { signal: controller.signal });
    controller.abort(reason);
    await expect(second).rejects.toBe(reason);
    expect((await first)[0]!.shape).toEqual([500, 131]);
  });
});

describe("what fails", () => {
  test("while nobody waits for it any more does not fail the next run", async () => {
    const { program } = await load();
    let fail: (reason: Error) => void = () => undefined;
    const loading = new Promise<never>((_, reject) => {
      fail = reject;
    });
    vi.spyOn(Session, "load").mockReturnValueOnce(loading);
    onTestFinished(() => void vi.restoreAllMocks());
    const step = { inputs: { tokens: tokens(3) } };
    const controller = new AbortController();
    const stopped = program.run(step, ["layers.0.q"], { signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(stopped).rejects.toThrow("enough");
    fail(new Error("no memory just then"));
    await loading.catch(() => undefined);
    expect((await program.run(step, ["layers.0.q"]))[0]!.shape).toEqual([3, 64]);
  });
  test("is read by no other reader of the embedding table", async () => {
    const graph = buildGraph((g) => [g.embedding("x", g.tokens("tokens"), g.weight("table", [20_000, 64]))]);
    const source = randomSource(graph);
    const table = new EmbeddingTable(
      {
        ...source,
        async read(name, ranges, signal) {
          const bytes = await source.read(name, ranges, signal);
          if (ranges?.rows?.first === 1900) throw new Error("a damaged disk");
          return bytes;
        },
      },
      source.weights.get("table")!,
    );
    const far = Int32Array.from({ length: 20 }, (_, i) => i * 100); // the last rows are read first
    await expect(table.lookUp(far, new Float32Array(20 * 64), undefined)).rejects.toThrow("a damaged disk");
    expect(source.reads).toBeLessThan(20);
    const reads = source.reads;
    await new Promise((resolve) => setImmediate(resolve));
    expect(source.reads).toBe(reads);
  });
});

describe("disposal", () => {
  test("waits for runs, then everything says that it is disposed", async () => {
    const { program } = await load();
    const cache = program.createCache(600);
    const step = { inputs: { tokens: tokens(500) }, batch: [{ rows: 500, cache }] };
    const running = program.run(step, ["logits"]);
    await program[Symbol.asyncDispose]();
    expect((await running)[0]!.shape).toEqual([500, 131]);
    const disposed = { code: "ERR_DISPOSED" };
    await expect(program.run(step, ["logits"])).rejects.toMatchObject(disposed);
    expect(() => program.createCache(1)).toThrow(expect.objectContaining(disposed));
    expect(() => cache.truncate(0)).toThrow(expect.objectContaining(disposed));
    await program[Symbol.asyncDispose]();
  });
  test("of a backend disposes its programs", async () => {
    const graph = llamaGraph(config);
    const backend = onnxruntime({ cacheFolder: false });
    const program = await backend.compile(graph, randomSource(graph));
    await backend[Symbol.asyncDispose]();
    await expect(program.run({ inputs: { tokens: tokens(1) } }, ["logits"])).rejects.toMatchObject({
      code: "ERR_DISPOSED",
    });
    await expect(backend.compile(graph, randomSource(graph))).rejects.toMatchObject({ code: "ERR_DISPOSED" });
  });
  test("many sessions and caches leave no memory behind", async () => {
    const graph = llamaGraph(config);
    const source = randomSource(graph);
    const round = async () => {
      await using backend = onnxruntime({ cacheFolder: false });
      await using program = await backend.compile(graph, source);
      for (let i = 0; i < 20; i++) {
        using cache = program.createCache(20000); // 10 MB
        await program.run({ inputs: { tokens: tokens(3) }, batch: [{ rows: 3, cache }] }, ["logits"]);
        using fork = await cache.fork();
        expect(fork.length).toBe(3);
      }
    };
    await round();
    const before = process.memoryUsage.rss();
    for (let i = 0; i < 5; i++) await round();
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 << 20); // the caches alone would be 2 GB
  });
});
