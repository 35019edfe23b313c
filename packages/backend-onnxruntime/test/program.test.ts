// Whole models: that how a computation is cut into runs does not matter, and that values, caches and what fails behave
// as the contract says. Tolerances come from reference runs perturbed within the backend's declared roundings.

import { estimateTolerance, worstShare } from "@polyllama/conformance";
import {
  buildGraph,
  type FormatName,
  type LlamaConfig,
  llamaGraph,
  type RealArray,
  type Tensor,
  type WeightSource,
} from "@polyllama/core";
import { type HostStep, type LoadedGraph, loadGraph, type SequenceCache } from "@polyllama/core/device";
import { tinyConfig } from "@polyllama/test-support/tiny-model";
import { randomReals, randomSource } from "@polyllama/test-support/weights";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { EmbeddingTable } from "../src/embedding.ts";
import { type OnnxRuntimeOptions, onnxruntime } from "../src/index.ts";
import { loadOrt } from "../src/ort/api.ts";
import { Session } from "../src/ort/session.ts";
import { argmax } from "./support.ts";

const config: LlamaConfig = { ...tinyConfig, contextLength: 4096 };

/** A model, and where its weights come from. */
interface Model {
  readonly loaded: LoadedGraph;
  readonly source: WeightSource;
}

async function load(
  { format = "f32", ...changes }: Partial<LlamaConfig> & { format?: FormatName } = {},
  options: OnnxRuntimeOptions = {},
): Promise<Model> {
  const graph = llamaGraph({ ...config, ...changes });
  const source = randomSource(graph, () => format, 7);
  const device = onnxruntime({ cacheFolder: false, threads: 2, activations: "f32", ...options });
  onTestFinished(() => device[Symbol.asyncDispose]());
  return { source, loaded: await loadGraph(device, graph, source) };
}

function tokens(count: number, seed = 1): Int32Array {
  return Int32Array.from(randomReals(seed, count), (x) => Math.floor(((x + 1) / 2) * 131));
}

/** Rows of one sequence. */
function stepOf(ids: Int32Array, cache?: SequenceCache): HostStep {
  return { inputs: { tokens: ids }, sequences: [{ rows: ids.length, ...(cache && { cache }) }] };
}

/** Feeds tokens in chunks; logits of all rows. */
async function feed({ loaded }: Model, cache: SequenceCache, ids: Int32Array, chunk: number): Promise<Tensor> {
  const logits: number[] = [];
  for (let at = 0; at < ids.length; at += chunk) {
    const [part] = await loaded.run(stepOf(ids.subarray(at, at + chunk), cache), ["logits"]);
    for (const logit of part!.data) logits.push(logit);
  }
  return { shape: [ids.length, logits.length / ids.length], data: Float32Array.from(logits) };
}

/** Greedy continuation. */
async function generate({ loaded }: Model, cache: SequenceCache, first: number, count: number): Promise<number[]> {
  const ids = [first];
  while (ids.length <= count) {
    const [logits] = await loaded.run(stepOf(Int32Array.of(ids.at(-1)!), cache), [{ value: "logits", rows: "last" }]);
    ids.push(argmax(logits!.data));
  }
  return ids.slice(1);
}

/**
 * Exact values and how far the backend may be from them, which declares f32's roundings or, where they are named,
 * others.
 */
function expected(
  { loaded, source }: Model,
  step: HostStep,
  value = "logits",
  { activations = "f32" }: OnnxRuntimeOptions = {},
) {
  const { roundings } = onnxruntime({ activations });
  return estimateTolerance(loaded.graph, source, step, value, roundings, { runs: 8 });
}

describe("the same logits however the prompt is cut", () => {
  for (const headDim of [16, 8, 6]) {
    test(`f32, heads of ${headDim}`, async () => {
      const model = await load({ headDim });
      const ids = tokens(130);
      const tolerance = await expected(model, { inputs: { tokens: ids } });
      const pool = model.loaded.pool(140, { sequences: 4 });
      for (const chunk of [1, 7, 64, 130]) {
        const logits = await feed(model, pool.open(), ids, chunk);
        expect(worstShare(logits, tolerance), `chunks of ${chunk}`).toBeLessThanOrEqual(1);
      }
      const [alone] = await model.loaded.run({ inputs: { tokens: ids } }, ["logits"]);
      expect(worstShare(alone!, tolerance), "without a cache").toBeLessThanOrEqual(1);
    });
  }
  for (const format of ["q4_0", "q8_0"] as const) {
    test(`${format}, int8 activations`, async () => {
      const model = await load({ format }, { activations: "int8" });
      const ids = tokens(70);
      const tolerance = await expected(model, { inputs: { tokens: ids } }, "logits", { activations: "int8" });
      const pool = model.loaded.pool(80, { sequences: 4 });
      for (const chunk of [1, 7, 64, 70]) {
        const logits = await feed(model, pool.open(), ids, chunk);
        expect(worstShare(logits, tolerance), `chunks of ${chunk}`).toBeLessThanOrEqual(1);
      }
    });
  }
  test("prompts longer than the rows that are computed at once", async () => {
    const model = await load({ layers: 1, dim: 16, heads: 2, kvHeads: 1, headDim: 8, hiddenDim: 16 });
    const ids = tokens(560);
    const tolerance = await expected(model, { inputs: { tokens: ids } });
    const pool = model.loaded.pool(560, { sequences: 2 });
    for (const chunk of [300, 560]) {
      const logits = await feed(model, pool.open(), ids, chunk);
      expect(worstShare(logits, tolerance), `chunks of ${chunk}`).toBeLessThanOrEqual(1);
    }
  });
});

describe("values", () => {
  test("any value can be asked for, also ones that are fused away", async () => {
    const model = await load({ layers: 1 });
    const { loaded } = model;
    const ids = tokens(9);
    const pool = loaded.pool(16);
    for (const value of [...loaded.graph.widths.keys()]) {
      const tolerance = await expected(model, { inputs: { tokens: ids } }, value);
      using cache = pool.open();
      const [alone] = await loaded.run(stepOf(ids), [value]);
      const [cached] = await loaded.run(stepOf(ids, cache), [value]);
      expect(worstShare(alone!, tolerance), value).toBeLessThanOrEqual(1);
      expect(worstShare(cached!, tolerance), `${value}, with a cache`).toBeLessThanOrEqual(1);
    }
  });
  test("last rows are the last of all rows, whatever is asked for beside them", async () => {
    const model = await load();
    const { loaded } = model;
    const ids = tokens(11);
    const step = { inputs: { tokens: ids }, sequences: [{ rows: 4 }, { rows: 7 }] };
    const last = (value: string) => ({ value, rows: "last" }) as const;
    const [logits, few, k, fewK, embedding, fewTokens] = await loaded.run(step, [
      "logits",
      last("logits"),
      "layers.1.k",
      last("layers.1.k"),
      last("embedding"),
      last("tokens"),
    ]);
    const [alone, both] = [
      (await loaded.run(step, [last("logits")]))[0]!,
      await loaded.run(step, [last("logits"), "layers.1.h"]),
    ];
    const rowsOf = (data: RealArray, width: number, rows: readonly number[]) =>
      rows.flatMap((row) => Array.from(data.subarray(row * width, (row + 1) * width)));
    expect(few!.shape).toEqual([2, 131]);
    expect(Array.from(few!.data)).toEqual(rowsOf(logits!.data, 131, [3, 10]));
    expect(Array.from(fewK!.data)).toEqual(rowsOf(k!.data, 32, [3, 10]));
    expect(embedding!.shape).toEqual([2, 64]);
    expect(Array.from(fewTokens!.data)).toEqual([ids[3], ids[10]]);
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
    const model = await load();
    const { loaded } = model;
    const pool = loaded.pool(8, { sequences: 2 });
    const [filled, other] = [pool.open(), pool.open()];
    const ids = tokens(6);
    expect(await loaded.run(stepOf(ids, filled), [])).toEqual([]);
    await loaded.run(stepOf(ids, other), ["logits"]);
    expect(filled.length).toBe(6);
    expect(await generate(model, filled, 3, 2)).toEqual(await generate(model, other, 3, 2));
  });
  test("an inner value asked for with a cache still fills every layer's", async () => {
    const model = await load();
    const { loaded } = model;
    const pool = loaded.pool(16, { sequences: 2 });
    const [filled, other] = [pool.open(), pool.open()];
    const ids = tokens(6);
    await loaded.run(stepOf(ids, filled), ["layers.0.q_rope"]);
    await loaded.run(stepOf(ids, other), ["logits"]);
    expect(await generate(model, filled, 3, 8)).toEqual(await generate(model, other, 3, 8));
  });
  test("values of the first compile can be chosen, and Float64Array is taken", async () => {
    const graph = buildGraph((g) => {
      const x = g.activations("x", 8);
      const w = g.weight("w", [8, 8]);
      const once = g.linear("once", x, w);
      return [g.add("sum", g.linear("twice", once, w), g.swiglu("s", x, once))];
    });
    const source = randomSource(graph);
    await using device = onnxruntime({ cacheFolder: false });
    await using loaded = await loadGraph(device, graph, source, { wanted: ["twice"] });
    const inputs = { x: Float64Array.from(randomReals(1, 24)) };
    const [twice, sum, x] = await loaded.run({ inputs }, ["twice", "sum", "x"]);
    for (const [name, value] of Object.entries({ twice, sum })) {
      const tolerance = await estimateTolerance(graph, source, { inputs }, name, device.roundings);
      expect(worstShare(value!, tolerance), name).toBeLessThanOrEqual(1);
    }
    expect(Array.from(x!.data)).toEqual(Array.from(inputs.x));
  });
  test("positions of sequences without a cache turn q and k alone", async () => {
    const model = await load();
    const ids = tokens(20);
    const at = (position: number): HostStep => ({ inputs: { tokens: ids }, sequences: [{ rows: 20, position }] });
    for (const value of ["layers.0.q_rope", "logits"]) {
      const [far] = await model.loaded.run(at(5000), [value]);
      expect(worstShare(far!, await expected(model, at(5000), value)), value).toBeLessThanOrEqual(1);
    }
    const [near] = await model.loaded.run(at(0), ["layers.0.q_rope"]);
    expect(worstShare(near!, await expected(model, at(5000), "layers.0.q_rope"))).toBeGreaterThan(1);
  });
  test("tied embeddings, an odd vocabulary and weights used twice", async () => {
    const model = await load({ tiedEmbeddings: true, format: "q8_0" });
    const step = { inputs: { tokens: tokens(12) } };
    const [logits] = await model.loaded.run(step, ["logits"]);
    expect(worstShare(logits!, await expected(model, step))).toBeLessThanOrEqual(1);
  });
});

describe("caches", () => {
  test("rewinding and generating again gives the same tokens", async () => {
    const model = await load();
    const cache = model.loaded.pool(64).open();
    await feed(model, cache, tokens(20), 20);
    const first = await generate(model, cache, 5, 20);
    cache.truncate(20);
    expect(await generate(model, cache, 5, 20)).toEqual(first);
    cache.truncate(20);
    await feed(model, cache, tokens(9, 2), 9);
    cache.truncate(20);
    expect(await generate(model, cache, 5, 20)).toEqual(first);
  });
  test("a fork and its parent do not disturb each other", async () => {
    const model = await load({ headDim: 6 });
    const parent = model.loaded.pool(64, { sequences: 4 }).open();
    await feed(model, parent, tokens(20), 20);
    const fork = parent.fork();
    expect(fork.length).toBe(20);
    const untouched = parent.fork();
    const straight = await generate(model, untouched, 5, 15);
    await feed(model, fork, tokens(30, 9), 7);
    expect(await generate(model, parent, 5, 15)).toEqual(straight);
    fork.truncate(20);
    parent[Symbol.dispose]();
    expect(await generate(model, fork, 5, 15)).toEqual(straight);
  });
  test("two sequences in one step equal each alone, bit for bit", async () => {
    const { loaded } = await load();
    const pool = loaded.pool(32, { sequences: 4 });
    const [a, b] = [tokens(5, 1), tokens(9, 2)];
    const run = async (...all: readonly Int32Array[]) => {
      const caches = all.map(() => pool.open());
      const sequences = all.map(({ length: rows }, i) => ({ rows, cache: caches[i]! }));
      const inputs = { tokens: Int32Array.from(all.flatMap((ids) => [...ids])) };
      const [logits] = await loaded.run({ inputs, sequences }, ["logits"]);
      expect(caches.map(({ length }) => length)).toEqual(all.map(({ length }) => length));
      return Array.from(logits!.data);
    };
    expect(await run(a, b)).toEqual([...(await run(a)), ...(await run(b))]);
  });
  test("steps of different caches at once equal steps in turn", async () => {
    const model = await load();
    const pool = model.loaded.pool(24, { sequences: 6 });
    const starts = [3, 60, 100];
    const inTurn: number[][] = [];
    for (const start of starts) inTurn.push(await generate(model, pool.open(), start, 20));
    const atOnce = await Promise.all(starts.map((start) => generate(model, pool.open(), start, 20)));
    expect(atOnce).toEqual(inTurn);
  });
  test("sizes, and what is refused", async () => {
    const { loaded } = await load({ headDim: 6 });
    const pool = loaded.pool(16);
    // keys and values, layers, heads, padded width, rows, f32; tokens
    expect(pool.bytes).toBe(2 * 2 * 2 * 8 * 16 * 4 + 16 * 4);
    const cache = pool.open();
    expect(() => loaded.pool(0)).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
    expect(() => cache.truncate(1)).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
    const stranger = (await load({ headDim: 6 })).loaded.pool(4).open();
    await expect(loaded.run(stepOf(tokens(1), stranger), ["logits"])).rejects.toMatchObject({ code: "ERR_GRAPH" });
  });
  test("steps, forks and rewinds of a sequence take effect in the order of their calls", async () => {
    const model = await load();
    const { loaded } = model;
    const pool = loaded.pool(64, { sequences: 3 });
    const last = [{ value: "logits", rows: "last" }] as const;
    const cache = pool.open();
    const first = loaded.run(stepOf(tokens(20), cache), last);
    const second = loaded.run(stepOf(tokens(4, 2), cache), last);
    const fork = cache.fork();
    cache.truncate(20);
    const third = loaded.run(stepOf(tokens(3, 3), cache), last);
    cache[Symbol.dispose](); // its block is free again when these steps have ended
    const refused = loaded.run(stepOf(tokens(1), cache), last);
    await expect(refused).rejects.toMatchObject({ code: "ERR_DISPOSED" });
    const forked = await loaded.run(stepOf(tokens(2, 4), fork), last);
    const alone = pool.open();
    expect(await loaded.run(stepOf(tokens(20), alone), last)).toEqual(await first);
    expect(await loaded.run(stepOf(tokens(4, 2), alone), last)).toEqual(await second);
    expect(await loaded.run(stepOf(tokens(2, 4), alone), last)).toEqual(forked);
    alone.truncate(20);
    expect(await loaded.run(stepOf(tokens(3, 3), alone), last)).toEqual(await third);
  });
  test.each([
    [1, { code: "ERR_CACHE_FULL", needed: 2, free: 1 }], // its second block is not there
    [2, { code: "ERR_CONTEXT", needed: 3, available: 2 }], // and where it is: a sequence has one block alone
  ])("a step beyond one of its caches, of %i sequences, leaves all as they were", async (count, refusal) => {
    const { loaded } = await load();
    const [good, full] = [loaded.pool(8).open(), loaded.pool(2, { sequences: count }).open()];
    const sequences = [
      { rows: 2, cache: good },
      { rows: 3, cache: full },
    ];
    const refused = loaded.run({ inputs: { tokens: tokens(5) }, sequences }, ["logits"]);
    await expect(refused).rejects.toMatchObject(refusal);
    expect([good.length, full.length]).toEqual([0, 0]);
    await loaded.run(stepOf(tokens(2), good), []);
    expect(good.length).toBe(2);
  });
});

describe("cancellation", () => {
  test("in the middle of a long prefill; the model stays usable", async () => {
    const model = await load({ dim: 256, headDim: 64, hiddenDim: 1024, layers: 4 });
    const { loaded } = model;
    const cache = loaded.pool(2100, { sequences: 2 }).open();
    await feed(model, cache, tokens(10), 10);
    const before = await generate(model, cache.fork(), 5, 5);
    const reason = new Error("enough");
    const controller = new AbortController();
    const running = loaded.run(stepOf(tokens(2000), cache), [{ value: "logits", rows: "last" }], controller.signal);
    setTimeout(() => controller.abort(reason), 30);
    await expect(running).rejects.toBe(reason);
    expect(cache.length).toBe(10);
    expect(await generate(model, cache, 5, 5)).toEqual(before);
  });
  test("before it starts, and while waiting for another step's turn", async () => {
    const { loaded } = await load();
    const reason = new Error("no");
    await expect(loaded.run(stepOf(tokens(4)), ["logits"], AbortSignal.abort(reason))).rejects.toBe(reason);
    const controller = new AbortController();
    const first = loaded.run(stepOf(tokens(500)), ["logits"]);
    const second = loaded.run(stepOf(tokens(4)), ["logits"], controller.signal);
    controller.abort(reason);
    await expect(second).rejects.toBe(reason);
    expect((await first)[0]!.shape).toEqual([500, 131]);
  });
});

describe("what fails", () => {
  test("while nobody waits for it any more does not fail the next step", async () => {
    const { loaded } = await load();
    let fail: (reason: Error) => void = () => undefined;
    const loading = new Promise<never>((_, reject) => {
      fail = reject;
    });
    vi.spyOn(Session, "load").mockReturnValueOnce(loading);
    onTestFinished(() => void vi.restoreAllMocks());
    const controller = new AbortController();
    const stopped = loaded.run(stepOf(tokens(3)), ["layers.0.q"], controller.signal);
    controller.abort(new Error("enough"));
    await expect(stopped).rejects.toThrow("enough");
    fail(new Error("no memory just then"));
    await loading.catch(() => undefined);
    expect((await loaded.run(stepOf(tokens(3)), ["layers.0.q"]))[0]!.shape).toEqual([3, 64]);
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
  test("of a device ends its steps; then everything says that it is disposed", async () => {
    const { loaded, source } = await load();
    const { device, graph } = loaded;
    const cache = loaded.pool(600).open();
    const disposed = { code: "ERR_DISPOSED" };
    const ended = expect(loaded.run(stepOf(tokens(500), cache), ["logits"])).rejects.toMatchObject(disposed);
    await device[Symbol.asyncDispose]();
    await ended;
    await expect(loaded.run(stepOf(tokens(1)), ["logits"])).rejects.toMatchObject(disposed);
    expect(() => loaded.pool(1)).toThrow(expect.objectContaining(disposed));
    expect(() => cache.truncate(0)).toThrow(expect.objectContaining(disposed));
    await expect(loadGraph(device, graph, source)).rejects.toMatchObject(disposed);
    await device[Symbol.asyncDispose]();
  });
  test("gives every session and tensor back to ONNX Runtime", async () => {
    const graph = llamaGraph(config);
    const ort = loadOrt();
    const counted = [
      { made: ["createSession"], freed: "releaseSession" },
      { made: ["allocateTensor", "tensorOver"], freed: "releaseValue" },
      { made: ["createRunOptions"], freed: "releaseRunOptions" },
      { made: ["createSessionOptions"], freed: "releaseSessionOptions" },
    ] as const;
    const spies = counted.map(({ made, freed }) => ({
      made: made.map((name) => vi.spyOn(ort, name)),
      freed: vi.spyOn(ort, freed),
    }));
    onTestFinished(() => void vi.restoreAllMocks());
    await using device = onnxruntime({ cacheFolder: false });
    for (let round = 0; round < 2; round++) {
      await using loaded = await loadGraph(device, graph, randomSource(graph));
      const { allocated } = await device.memory();
      for (let i = 0; i < 5; i++) {
        using pool = loaded.pool(2000, { sequences: 2 });
        const cache = pool.open();
        await loaded.run(stepOf(tokens(3), cache), ["logits"]);
        await loaded.run(stepOf(tokens(2), cache.fork()), ["layers.0.q"]);
      }
      expect((await device.memory()).allocated).toBe(allocated);
    }
    expect((await device.memory()).allocated).toBe(0);
    for (const { made, freed } of spies) {
      const handles = await Promise.all(made.flatMap(({ mock }) => mock.results.map(({ value }) => value)));
      expect(handles.length).toBeGreaterThan(0);
      expect(freed.mock.calls.flat().sort()).toEqual(handles.sort());
    }
  });
});
