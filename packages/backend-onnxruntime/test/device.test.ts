// The device itself, beyond what the suites of conformance ask of every device: one packed file for several graphs,
// blocks of whole sequences, and what is refused.

import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { buildGraph, createSampler, type Graph, llamaGraph, UnsupportedError } from "@polyllama/core";
import { cacheSpec, type Output, type OutputValue, type SequenceCache, type Step } from "@polyllama/core/device";
import { tinyConfig } from "@polyllama/test-support/tiny-model";
import { randomReals, randomSource } from "@polyllama/test-support/weights";
import { describe, expect, onTestFinished, test } from "vitest";
import { type OnnxRuntimeOptions, onnxruntime } from "../src/index.ts";
import { planLayout } from "../src/pack/layout.ts";
import { temporaryFolder } from "./support.ts";

const graph = llamaGraph(tinyConfig);

function makeDevice(options: OnnxRuntimeOptions = {}) {
  const device = onnxruntime({ cacheFolder: false, threads: 2, activations: "f32", ...options });
  onTestFinished(() => device[Symbol.asyncDispose]());
  return device;
}

async function load(options: OnnxRuntimeOptions = {}) {
  const device = makeDevice(options);
  using parameters = await device.loadParameters([graph], randomSource(graph));
  const program = await device.compile(graph, parameters);
  const pool = (rows: number, sequences = 1) => device.cachePool(cacheSpec(graph), { rows, sequences });
  return { device, program, pool };
}

const lastLogits: Output = { value: "logits", rows: "last", to: "host" };

function step(tokens: readonly number[], cache?: SequenceCache, outputs: readonly Output[] = [lastLogits]): Step {
  const sequence = { rows: tokens.length, ...(cache && { cache }) };
  return { inputs: { tokens: Int32Array.from(tokens) }, sequences: [sequence], outputs };
}

function data(value: OutputValue | undefined): readonly number[] {
  return value?.to === "host" ? Array.from(value.tensor.data) : [];
}

/** wq alone, and wq with wk. */
const queries = buildGraph((g) => [g.linear("q", g.activations("x", 32), g.weight("wq", [32, 32]))]);
const both = buildGraph((g) => {
  const x = g.activations("x", 32);
  return [g.linear("q", x, g.weight("wq", [32, 32])), g.linear("k", x, g.weight("wk", [16, 32]))];
});

const table = buildGraph((g) => [g.embedding("x", g.tokens("tokens"), g.weight("table", [8, 32]))]);
const norm = buildGraph((g) => [g.rmsNorm("y", g.activations("x", 32), g.weight("weight", [32]), { eps: 1e-5 })]);

describe("parameters", () => {
  test("of several graphs are one file, in which two weights stand together where every graph has both", () => {
    const { weights } = randomSource(both);
    const members = (...graphs: readonly Graph[]) =>
      planLayout(graphs, weights, "int8").matrices.map((matrix) => matrix.members.map(({ weight }) => weight));
    expect(members(both)).toEqual([["wq", "wk"]]);
    expect(members(both, both)).toEqual([["wq", "wk"]]);
    expect(members(both, queries)).toEqual([["wq"], ["wk"]]);
  });

  test("serve every graph that they were loaded for, from one packed file, until the last program ends", async () => {
    const cacheFolder = await temporaryFolder();
    const device = makeDevice({ cacheFolder });
    const source = randomSource(both);
    const inUse = async () => (await readdir(cacheFolder)).filter((name) => name.startsWith("use-"));
    const parameters = await device.loadParameters([both, queries], source);
    const reads = source.reads;
    const programs = [await device.compile(both, parameters), await device.compile(queries, parameters)];
    expect(source.reads).toBe(reads);
    expect(await inUse()).toHaveLength(1);
    expect(await device.memory()).toMatchObject({ allocated: parameters.bytes, total: expect.any(Number) });
    parameters[Symbol.dispose]();
    const q: Output = { value: "q", rows: "all", to: "host" };
    const given = { inputs: { x: randomReals(1, 64) }, sequences: [{ rows: 2 }], outputs: [q] };
    const [first, second] = await Promise.all(programs.map(async (program) => (await program.submit(given).result)[0]));
    expect(data(first)).toHaveLength(64);
    expect(data(second)).toEqual(data(first));
    await programs[0]![Symbol.asyncDispose]();
    expect(await inUse()).toHaveLength(1);
    await programs[1]![Symbol.asyncDispose]();
    expect(await inUse()).toEqual([]);
    expect((await device.memory()).allocated).toBe(0);
  });

  test("in a private folder go with the device, also where nobody compiled anything", async () => {
    const device = makeDevice();
    const parameters = await device.loadParameters([both], randomSource(both));
    const { folder } = (parameters as unknown as { storage: { folder: string } }).storage; // as this device makes them
    expect(existsSync(folder)).toBe(true);
    await device[Symbol.asyncDispose]();
    expect(existsSync(folder)).toBe(false);
  });

  test.each([
    ["a matrix that they lack", queries, both, /"wk" is not among them/],
    ["a table that they lack", both, table, /"table" is not among them/],
    ["a norm that they lack", both, norm, /"weight" is not among them/],
    ["a part of what is stored together", both, queries, /"wq" is stored with others/],
  ])("refuse %s", async (_, loaded, other, message) => {
    const device = makeDevice();
    const parameters = await device.loadParameters([loaded], randomSource(loaded));
    const refused = { code: "ERR_PARAMETERS", message: expect.stringMatching(message) };
    await expect(device.compile(other, parameters)).rejects.toMatchObject(refused);
    const elsewhere = makeDevice().compile(loaded, parameters);
    await expect(elsewhere).rejects.toMatchObject({ code: "ERR_PARAMETERS" });
  });

  test("are not updated or given back", async () => {
    const device = makeDevice();
    const loading = device.loadParameters([both], randomSource(both), { mutable: true });
    await expect(loading).rejects.toMatchObject({ code: "ERR_UNSUPPORTED", op: "updates", remedy: /mutable/ });
    const parameters = await device.loadParameters([both], randomSource(both));
    expect(() => parameters.export()).toThrow(UnsupportedError);
  });
});

describe("pools", () => {
  test("have a block for each sequence, whose length is the most that it can have", async () => {
    const { device, program, pool } = await load();
    const { allocated } = await device.memory();
    const two = pool(8, 2);
    expect([two.blockRows, two.blocks, two.freeBlocks]).toEqual([8, 2, 2]);
    expect((await device.memory()).allocated).toBe(allocated + two.bytes);
    const cache = two.open();
    await program.submit(step([1, 2, 3, 4, 5], cache)).result;
    const beyond = { code: "ERR_CONTEXT", needed: 9, available: 8 };
    expect(() => program.submit(step([1, 2, 3, 4], cache))).toThrow(expect.objectContaining(beyond));
    expect([cache.length, two.freeBlocks]).toEqual([5, 1]);
    await program.submit(step([1, 2, 3], cache)).result;
    const long = await cache.export();
    await expect(pool(7).import(long)).rejects.toMatchObject({ code: "ERR_CONTEXT", needed: 8, available: 7 });
    two[Symbol.dispose]();
    expect((await device.memory()).allocated).toBe(allocated + pool(7).bytes);
  });

  test("keep f32 alone", async () => {
    const { device } = await load();
    const make = () => device.cachePool(cacheSpec(graph), { rows: 4, format: "f16" });
    expect(make).toThrow(expect.objectContaining({ code: "ERR_UNSUPPORTED", op: "attention", format: "f16" }));
  });

  test("that the system has no memory for say how much they want", async () => {
    const { device } = await load();
    const spec = [{ kvHeads: 1 << 20, headDim: 1 << 10 }];
    const make = () => device.cachePool(spec, { rows: 1 << 20 });
    expect(make).toThrow(expect.objectContaining({ code: "ERR_MEMORY", needed: 2 ** 53 + 2 ** 22 }));
  });

  test("take nothing of another's: bytes of another shape, the header alone, an empty sequence's", async () => {
    const { device, pool } = await load();
    const [own, other] = [pool(8, 2), device.cachePool([{ kvHeads: 2, headDim: 8 }], { rows: 8 })];
    const empty = await own.open().export();
    expect((await own.import(empty)).length).toBe(0);
    await expect(other.import(empty)).rejects.toMatchObject({ code: "ERR_OPTION" });
    for (const length of [0, 3, empty.length - 1]) {
      await expect(own.import(empty.subarray(0, length))).rejects.toMatchObject({ code: "ERR_OPTION" });
    }
  });

  test("copy more rows than are copied at once", async () => {
    const { program, pool } = await load();
    const tokens = Array.from(randomReals(3, 2500), (x) => Math.floor(((x + 1) / 2) * 131));
    const wide = pool(2510, 3);
    const cache = wide.open();
    for (let at = 0; at < 2500; at += 1000) await program.submit(step(tokens.slice(at, at + 1000), cache, [])).result;
    const [fork, imported] = [cache.fork(), await wide.import(await cache.export())];
    const [alone] = await program.submit(step([5], cache)).result;
    for (const copy of [fork, imported])
      expect(data((await program.submit(step([5], copy)).result)[0])).toEqual(data(alone));
  });
});

describe("outputs", () => {
  test("of the same rows are memory of their own", async () => {
    const { program } = await load();
    const tensor: Output = { ...lastLogits, to: "device" };
    const [first, second, third] = await program.submit(step([1, 2, 3], undefined, [lastLogits, lastLogits, tensor]))
      .result;
    const expected = data(first);
    if (first?.to === "host") first.tensor.data.fill(0);
    expect(data(second)).toEqual(expected);
    if (second?.to === "host") second.tensor.data.fill(0);
    expect(third?.to === "device" && Array.from(await third.tensor.read())).toEqual(expected);
  });

  test("of several values ask for rows of their own", async () => {
    const { program } = await load();
    const values = ["logits", "layers.1.h", "embedding"];
    const all = values.map((value): Output => ({ value, rows: "all", to: "host" }));
    const tokens = [1, 2, 3, 4, 5];
    const whole = (await program.submit(step(tokens, undefined, all)).result).map(data);
    const score: Output = { value: "logits", to: "score", targets: Int32Array.of(-1, 7, -1, -1, -1), top: 1 };
    const draw = createSampler({ temperature: 0, seed: 1 }).draw!; // nothing in these options is the host's alone
    const drawn: Output = { value: "layers.1.h", rows: { lastPerSequence: [2] }, to: "token", draw: [draw, draw] };
    const last: Output = { value: "embedding", rows: "last", to: "host" };
    const [scored, chosen, embedded] = await program.submit(step(tokens, undefined, [score, drawn, last])).result;
    const row = (value: number, n: number): Float32Array => {
      const width = program.graph.widths.get(values[value]!)!;
      return Float32Array.from(whole[value]!.slice(n * width, (n + 1) * width));
    };
    const best = (logits: Float32Array): number => logits.indexOf(Math.max(...logits));
    expect(chosen?.to === "token" && [...chosen.tokens]).toEqual([3, 4].map((n) => best(row(1, n))));
    expect(data(embedded)).toEqual([...row(2, 4)]);
    const rows = scored?.to === "score" ? scored.rows : [];
    expect(rows.map((each) => each?.top[0]?.id)).toEqual([undefined, best(row(0, 1)), undefined, undefined, undefined]);
  });

  test("drawn with penalties know the tokens of every step, also behind a fork and an import", async () => {
    const { program, pool } = await load();
    const all = pool(32, 3);
    const cache = all.open();
    const penalties = { repetitionPenalty: 3, frequencyPenalty: 2, presencePenalty: 1, promptLength: 2 };
    const draw = { ...createSampler({ temperature: 0, seed: 1 }).draw!, penalties };
    const token: Output = { value: "logits", rows: "last", to: "token", draw: [draw] };
    const { promptLength, ...factors } = penalties;
    const history: number[] = [];
    const next = async (tokens: readonly number[], sequence: SequenceCache): Promise<number> => {
      history.push(...tokens);
      const [drawn, logits] = await program.submit(step(tokens, sequence, [token, lastLogits])).result;
      const sampler = createSampler({ temperature: 0, ...factors });
      const expected = sampler.sample(Float32Array.from(data(logits)), history, promptLength);
      expect(drawn?.to === "token" && [...drawn.tokens]).toEqual([expected]);
      return expected;
    };
    let id = await next([1, 2, 3], cache);
    for (let i = 0; i < 4; i++) id = await next([id], cache);
    const fork = cache.fork();
    for (let i = 0; i < 4; i++) id = await next([id], fork);
    const imported = await all.import(await fork.export());
    for (let i = 0; i < 4; i++) id = await next([id], imported);
  });
});
