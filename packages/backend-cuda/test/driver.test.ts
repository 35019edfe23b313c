// The driver from this side: what is said when something is missing or fails, what is loaded on which card, and which
// calls are made.

import { openCheckpoint } from "@polyllama/checkpoints";
import {
  buildGraph,
  createSampler,
  type Graph,
  type LlamaConfig,
  llamaGraph,
  MemoryError,
  type WeightSource,
} from "@polyllama/core";
import { loadGraph, type Output } from "@polyllama/core/device";
import { poet } from "@polyllama/model-poet";
import { Llama } from "polyllama";
import { expect, test } from "vitest";
import { cuda } from "../src/index.ts";
import { describeWithEmulation, emulated, errorOf, withGraph } from "./support.ts";

test("without a driver the backend says so, when it is used and not before", async () => {
  const options = { library: "/nowhere/libcuda.so.1" };
  const device = cuda(options);
  expect(cuda.available(options)).toMatchObject({ available: false, reason: /No NVIDIA driver/ });
  expect(await errorOf(() => device.describe())).toMatchObject({ code: "ERR_UNSUPPORTED" });
  await device[Symbol.asyncDispose]();
});

test("options that nobody knows are refused", async () => {
  expect(await errorOf(() => cuda({ devise: 1 } as object))).toMatchObject({ code: "ERR_OPTION" });
  expect(await errorOf(() => cuda({ device: -1 }))).toMatchObject({ code: "ERR_OPTION" });
});

const config: LlamaConfig = {
  dim: 32,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 8,
  hiddenDim: 48,
  vocabSize: 40,
  contextLength: 64,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { type: "none" },
  tiedEmbeddings: false,
};

/** f32 weights from a formula. */
function sourceFor(graph: Graph): WeightSource {
  const weights = new Map(graph.weights.map(({ name, shape }) => [name, { name, shape, format: "f32" as const }]));
  return {
    name: "formula",
    weights,
    async read(name, { rows } = {}) {
      const { shape } = weights.get(name)!;
      const columns = shape.at(-1)!;
      const { first, count } = rows ?? { first: 0, count: shape.length === 1 ? 1 : shape[0]! };
      const values = Float32Array.from({ length: count * columns }, (_, i) =>
        shape.length === 1 ? 1 : Math.sin((first * columns + i) * 1.7 + name.length) / 4,
      );
      return new Uint8Array(values.buffer);
    },
    fingerprint: async () => "",
  };
}

await describeWithEmulation("the driver", (emulation) => {
  const { control } = emulation;
  const graph = llamaGraph(config);
  const small = buildGraph((g) => [g.add("y", g.activations("a", 8), g.activations("b", 8))]);
  const inputs = { a: new Float32Array(8).fill(1), b: new Float32Array(8).fill(2) };

  test("a card is described, and what is asked for is given back", () => {
    control.reset();
    control.card({ driver: 13010, major: 8, minor: 9, memory: 2 ** 33 });
    // none in this folder
    expect(cuda.available(emulated(emulation))).toMatchObject({ available: false, reason: /sm_89/ });
    control.card({});
    expect(cuda.available(emulated(emulation))).toMatchObject({ available: true, computeCapability: "9.0" });
    expect(control.live()).toBe(0);
  });

  test("no card, a card of no use and a card that is not there", async () => {
    control.reset();
    control.card({ count: 0 });
    expect(cuda.available(emulated(emulation))).toMatchObject({ available: false, reason: /no card/ });
    expect(await errorOf(() => cuda(emulated(emulation)).describe())).toMatchObject({ code: "ERR_UNSUPPORTED" });
    control.card({ driver: 11070 });
    expect(cuda.available(emulated(emulation))).toMatchObject({ available: false, reason: /CUDA 11\.7; 11\.8/ });
    control.card({ major: 7, minor: 0 });
    expect(cuda.available(emulated(emulation))).toMatchObject({
      available: false,
      reason: /7\.5 \(Turing\) is the least/,
    });
    control.card({ count: 2 });
    const third = cuda({ ...emulated(emulation), device: 2 });
    expect(await errorOf(() => third.describe())).toMatchObject({ code: "ERR_OPTION" });
    expect(control.live()).toBe(0);
  });

  test("a card without memory for the weights, for a cache, for a run", async () => {
    control.reset();
    control.card({ memory: 4096 });
    const device = cuda(emulated(emulation));
    const failure = await errorOf(() => loadGraph(device, graph, sourceFor(graph)));
    expect(failure).toBeInstanceOf(MemoryError);
    expect(failure).toMatchObject({
      code: "ERR_MEMORY",
      what: expect.stringMatching(/\w/),
      needed: expect.any(Number),
    });
    await device[Symbol.asyncDispose]();
    expect(control.live()).toBe(0);

    control.reset();
    await withGraph(emulation, graph, sourceFor(graph), async (loaded) => {
      const refused = await errorOf(() => loaded.pool(2 ** 30));
      expect(refused).toBeInstanceOf(MemoryError);
      expect(refused).toMatchObject({
        what: expect.stringMatching(/^A cache of 1073741824 positions/),
        available: undefined,
      });
      expect((refused as MemoryError).needed % 2 ** 30).toBe(0); // bytes of each position, times positions
      const cache = loaded.pool(8).open();
      control.fail("cuMemAlloc", 0, 2);
      const step = { inputs: { tokens: Int32Array.of(1) }, sequences: [{ rows: 1, cache }] };
      const failed = await errorOf(() => loaded.run(step, ["logits"]));
      expect(failed).toBeInstanceOf(MemoryError);
      expect(failed).toMatchObject({ code: "ERR_MEMORY", what: expect.stringMatching(/^a run of \d+ rows/) });
      expect(cache.length).toBe(0);
      expect((await loaded.run(step, ["logits"]))[0]!.shape).toEqual([1, 40]);
    });
    expect(control.live()).toBe(0);
  });

  test("what draws tokens is made again where there was no memory for it", async () => {
    control.reset();
    await using device = cuda(emulated(emulation));
    using parameters = await device.loadParameters([graph], sourceFor(graph));
    control.fail("cuMemAllocHost", 0, 2);
    expect(await errorOf(() => device.compile(graph, parameters))).toMatchObject({ code: "ERR_MEMORY" });
    await using program = await device.compile(graph, parameters);
    const sampler = createSampler({ temperature: 1, topP: 1, seed: 7 });
    const last = { value: "logits", rows: "last" } as const;
    const draw = [sampler.draw!]; // nothing in these options is the host's alone
    const outputs: readonly Output[] = [
      { ...last, to: "token", draw },
      { ...last, to: "host" },
    ];
    const inputs = { tokens: Int32Array.of(1, 2, 3) };
    const [drawn, logits] = await program.submit({ inputs, sequences: [{ rows: 3 }], outputs }).result;
    if (drawn?.to !== "token" || logits?.to !== "host") throw new Error("nothing was drawn");
    expect([...drawn.tokens]).toEqual([sampler.sample(logits.tensor.data, [1, 2, 3], 3)]);
  });

  test("a token takes few launches: what follows one product alone is computed with it", async () => {
    const launches = async (layers: number): Promise<number> => {
      control.reset();
      const llama = llamaGraph({ ...config, layers });
      return await withGraph(emulation, llama, sourceFor(llama), async (loaded) => {
        const cache = loaded.pool(8).open();
        const step = { inputs: { tokens: Int32Array.of(1) }, sequences: [{ rows: 1, cache }] };
        control.log();
        await loaded.run(step, ["logits"]);
        return control.log().filter((call) => call.startsWith("cuLaunchKernel")).length;
      });
    };
    const [two, three] = [await launches(2), await launches(3)];
    // q, k and v with the norm before; rope and cache; attention in parts; what joins them; its product with the
    // addition; gate, up and swiglu with the norm; down with the addition
    expect(three - two).toBe(7);
  });

  test("a model that does not fit is refused before anything is read, with the context that would", async () => {
    control.reset();
    await using whole = await openCheckpoint(poet);
    await using device = cuda(emulated(emulation));
    const { weights, cache, scratch } = device.estimateMemory(llamaGraph(whole.config), whole.weights, 100);
    control.card({ memory: weights + cache + scratch });
    expect((await device.memory()).free).toBe(weights + cache + scratch);
    control.log();
    const read = async (): Promise<never> => expect.unreachable("weights were read");
    const refused = await errorOf(() => Llama.load({ ...whole, read }, { backend: device }));
    expect(refused).toBeInstanceOf(MemoryError);
    expect(refused).toMatchObject({ available: weights + cache + scratch, fittingContext: 100 });
    expect(control.log().filter((call) => call.startsWith("cuMemAlloc"))).toEqual([]);
    await using llama = await Llama.load(whole, { backend: device, contextLength: 100 });
    expect((await device.memory()).free).toBeLessThan(cache + scratch + 1);
    expect((await llama.complete("a", { maxTokens: 2, ignoreEos: true })).finish).toBe("length");
  });

  test("a card that is lost in a run is an error of that run and of all later ones", async () => {
    control.reset();
    await withGraph(emulation, small, sourceFor(small), async (loaded) => {
      await loaded.run({ inputs }, ["y"]);
      control.fail("cuEventQuery", 0, 719);
      for (let i = 0; i < 2; i++) {
        expect(await errorOf(() => loaded.run({ inputs }, ["y"]))).toMatchObject({ code: "ERR_DEVICE_LOST" });
      }
    });
  });

  test("a decoded token is one graph launch without allocations", async () => {
    control.reset();
    await withGraph(emulation, graph, sourceFor(graph), async (loaded) => {
      const cache = loaded.pool(16).open();
      const step = (tokens: readonly number[]) => ({
        inputs: { tokens: Int32Array.from(tokens) },
        sequences: [{ rows: tokens.length, cache }],
      });
      await loaded.run(step([1, 2, 3]), []);
      await loaded.run(step([4]), ["logits"]);
      for (let token = 5; token < 10; token++) {
        control.log();
        await loaded.run(step([token]), ["logits"]);
        const calls = control.log().map((call) => call.split(" ")[0]!);
        expect(calls.filter((call) => call !== "cuEventQuery")).toEqual([
          "cuMemcpyHtoDAsync",
          "cuGraphLaunch",
          "cuMemcpyDtoHAsync",
          "cuEventRecord",
        ]);
      }
    });
    expect(control.live()).toBe(0);
  });

  test("a driver of CUDA 13 loads the package's code for the card, an older one the highest PTX that the card takes", async () => {
    const [rows, width] = [16, 64];
    const linear = buildGraph((g) => [g.linear("y", g.activations("x", width), g.weight("w", [width, width]))]);
    const info = { name: "w", shape: [width, width], format: "f16" as const };
    // Ones, in f16, so that y is the sum of x.
    const source: WeightSource = {
      name: "ones",
      weights: new Map([["w", info]]),
      read: async (_, { rows } = {}) =>
        new Uint8Array(new Uint16Array((rows?.count ?? width) * width).fill(0x3c00).buffer),
      fingerprint: async () => "",
    };
    for (const [driver, major, minor, expected] of [
      [13000, 9, 0, "cubin gemm_mma_f16"],
      [13000, 7, 5, "cubin gemm_f16"],
      [13000, 13, 0, "ptx 7.8 sm_80 gemm_mma_f16"],
      [12040, 9, 0, "ptx 7.8 sm_80 gemm_mma_f16"],
      [12040, 8, 0, "ptx 7.8 sm_80 gemm_mma_f16"],
      [11080, 7, 5, "ptx 7.8 sm_75 gemm_f16"],
    ] as const) {
      control.reset();
      control.card({ driver, major, minor });
      await using device = cuda({ library: emulation.library });
      await using loaded = await loadGraph(device, linear, source);
      control.log();
      const [y] = await loaded.run({ inputs: { x: new Float32Array(rows * width).fill(0.5) } }, ["y"]);
      const modules = control.log().filter((call) => call.startsWith("cuModuleLoadData"));
      expect(modules.filter((call) => call.includes("gemm"))).toEqual([`cuModuleLoadData ${expected}`]);
      expect([...y!.data]).toEqual(new Array(rows * width).fill(width / 2));
    }
  });

  test("caches in f16 and bf16 hold what they can hold exactly", async () => {
    control.reset();
    const attention = buildGraph((g) => [
      g.attention("y", g.activations("q", 16), g.activations("k", 8), g.activations("v", 8), {
        heads: 2,
        kvHeads: 1,
        headDim: 8,
      }),
    ]);
    await withGraph(emulation, attention, sourceFor(attention), async (loaded) => {
      const rows = 11;
      // Numbers of few bits, which every format holds.
      const values = (width: number, step: number) =>
        Float32Array.from({ length: rows * width }, (_, i) => (((i * step) % 15) - 7) / 8);
      const run = async (format: "f32" | "f16" | "bf16"): Promise<number[]> => {
        using pool = loaded.pool(rows, { format });
        const cache = pool.open();
        const data: number[] = [];
        for (const [first, count] of [
          [0, 8], // no more, so that tensor cores round nothing
          [8, 2],
          [10, 1],
        ] as const) {
          const part = (width: number, step: number) =>
            values(width, step).slice(first * width, (first + count) * width);
          const given = { q: part(16, 7), k: part(8, 11), v: part(8, 13) };
          const [y] = await loaded.run({ inputs: given, sequences: [{ rows: count, cache }] }, ["y"]);
          data.push(...y!.data);
        }
        return data;
      };
      const exact = await run("f32");
      expect(await run("f16")).toEqual(exact);
      expect(await run("bf16")).toEqual(exact);
    });
    expect(control.reports()).toBe("");
  });
});
