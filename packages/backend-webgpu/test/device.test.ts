// What a backend does to its device and with a lost one: buffers are freed, somebody else's device stays, a loss
// rejects whoever waits, and errors say what was being done.

import { loweredLimits } from "@polyllama/conformance";
import { buildGraph, createSampler, MemoryError, type WeightSource } from "@polyllama/core";
import {
  cacheSpec,
  type LoadedGraph,
  loadGraph,
  type Output,
  type Program,
  type SequenceCache,
  type Step,
} from "@polyllama/core/device";
import { drawTokens } from "@polyllama/test-support/drawn";
import { expect, test, vi } from "vitest";
import { Gpu } from "../src/gpu.ts";
import { findAdapter, webgpu } from "../src/index.ts";
import { canProfile, Profile } from "../src/profile.ts";
import { describeWithAdapter, tinyModel } from "./support.ts";

const sampling = createSampler({ seed: 1 }).draw!;

async function draw(loaded: LoadedGraph, count: number): Promise<readonly number[]> {
  using pool = loaded.pool(64);
  const tokens: number[] = [];
  for await (const id of drawTokens(loaded, pool.open(), Int32Array.of(1, 2, 3), sampling, count)) tokens.push(id);
  return tokens;
}

/** `GPUBufferUsage.STORAGE`, which Node has no name for. */
const storage = 0x80;

function sizeOf(resource: GPUBindingResource): number {
  if (!("buffer" in resource)) throw new Error("a binding of something else than a buffer");
  return resource.size ?? resource.buffer.size - (resource.offset ?? 0);
}

/** Lets a device say, once where that is asked for, that its memory did not suffice. */
function memoryOf(device: GPUDevice): { refuse: boolean } {
  const memory = { refuse: false };
  const pop = device.popErrorScope.bind(device);
  device.popErrorScope = async () => {
    const refused = memory.refuse; // the scope of memory is the first that is asked
    memory.refuse = false;
    const error = await pop();
    return refused ? { message: "no memory" } : error;
  };
  return memory;
}

describeWithAdapter("the device", () => {
  test("fifty cycles of loading and disposing leave no buffer", async () => {
    const { graph, source } = tinyModel();
    const gpu = await (await findAdapter({})).requestDevice();
    const create = gpu.createBuffer.bind(gpu);
    const alive = new Set<GPUBuffer>();
    gpu.createBuffer = (descriptor) => {
      const buffer = create(descriptor);
      const destroy = buffer.destroy.bind(buffer);
      buffer.destroy = () => {
        alive.delete(buffer);
        return destroy();
      };
      alive.add(buffer);
      return buffer;
    };
    await using device = await webgpu({ device: gpu });
    for (let cycle = 0; cycle < 50; cycle++) {
      const loaded = await loadGraph(device, graph, source);
      if (cycle % 10 === 0) await draw(loaded, 5);
      const cache = loaded.pool(32).open();
      await loaded.run({ inputs: { tokens: Int32Array.of(1, 2) }, sequences: [{ rows: 2, cache }] }, ["logits"]);
      expect(device.live.buffers).toBe(alive.size);
      expect(alive.size).toBeGreaterThan(0);
      await loaded[Symbol.asyncDispose]();
      expect(device.live).toEqual({ buffers: 0, bytes: 0 });
      expect(alive.size).toBe(0);
    }
    gpu.destroy();
  });

  test("a profile has every dispatch with its time, all of them within that of the run", async ({ skip }) => {
    const { graph, source } = tinyModel();
    await using device = await webgpu();
    using parameters = await device.loadParameters([graph], source);
    await using program = await device.compile(graph, parameters);
    skip(!canProfile(device.gpu), "the adapter has no timestamps");
    const { meter } = device;
    const step: Step = {
      inputs: { tokens: new Int32Array(16).fill(1) },
      sequences: [{ rows: 16 }],
      outputs: [{ value: "logits", rows: "all", to: "host" }],
    };
    await program.submit(step).result;
    const profile = new Profile(device.gpu);
    meter.profile = profile;
    const [before, start] = [meter.dispatched, performance.now()];
    await program.submit(step).result;
    const most = 1e6 * (performance.now() - start);
    meter.profile = undefined;
    const kernels = [...(await profile.end()).values()];
    expect(kernels.reduce((sum, { dispatches }) => sum + dispatches, 0)).toBe(meter.dispatched - before);
    for (const { nanoseconds } of kernels) expect(nanoseconds).toBeGreaterThanOrEqual(0);
    const sum = kernels.reduce((all, { nanoseconds }) => all + nanoseconds, 0);
    expect(sum).toBeGreaterThan(0);
    expect(sum).toBeLessThan(most);
  });

  test("asking for ever other values keeps no more buffers than some", async () => {
    const { graph, source } = tinyModel();
    await using device = await webgpu();
    await using loaded = await loadGraph(device, graph, source);
    const cache = loaded.pool(32).open();
    const values = [...graph.widths.keys()].filter((name) => !graph.inputs.some((input) => input.name === name));
    expect(values.length).toBeGreaterThan(24);
    const ask = async (value: string): Promise<void> => {
      cache.truncate(0);
      const step = { inputs: { tokens: Int32Array.of(1, 2) }, sequences: [{ rows: 2, cache }] };
      await loaded.run(step, [value, "logits"]);
    };
    for (const value of values.slice(0, 12)) await ask(value);
    const after = device.live;
    for (const value of values.slice(12, 24)) await ask(value);
    // Activations of a width that was not asked for before may come; parameters, rotations and bindings do not add up.
    expect(device.live.buffers).toBeLessThan(after.buffers + 12);
    for (const value of values.slice(0, 24)) await ask(value);
    const settled = device.live;
    for (const value of values.slice(0, 24)) await ask(value);
    expect(device.live).toEqual(settled);
  });

  test("a device that is lost rejects every call that waits, and the next load gets another one", async () => {
    const { graph, source } = tinyModel();
    const gpu = await (await findAdapter({})).requestDevice();
    const lossy = await webgpu({ device: gpu });
    const loaded = await loadGraph(lossy, graph, source);
    const run = drawTokens(loaded, loaded.pool(64).open(), Int32Array.of(1, 2, 3), sampling, 60);
    for (let i = 0; i < 4; i++) expect((await run.next()).done).toBe(false);
    const one = { inputs: { tokens: Int32Array.of(4) } };
    const other = loaded.run(one, ["logits"]);
    gpu.destroy();
    const rest = (async () => {
      for await (const _ of run) {
        // what was under way may still come
      }
    })();
    const outcomes = await Promise.allSettled([other, rest]);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "ERR_DEVICE_LOST" } });
    }
    await expect(loaded.run(one, ["logits"])).rejects.toMatchObject({ code: "ERR_DEVICE_LOST" });
    await expect(loadGraph(lossy, graph, source)).rejects.toMatchObject({ code: "ERR_DEVICE_LOST" });
    await loaded[Symbol.asyncDispose]();
    await lossy[Symbol.asyncDispose]();

    await using fresh = await webgpu();
    await using again = await loadGraph(fresh, graph, source);
    expect(await draw(again, 5)).toHaveLength(5);
  });

  test("a device of one's own gets another GPU after a loss, on which nothing of the last one counts", async () => {
    const { graph, source } = tinyModel();
    await using device = await webgpu();
    const parameters = await device.loadParameters([graph], source);
    const program = await device.compile(graph, parameters);
    const pool = device.cachePool(cacheSpec(graph), { rows: 64 });
    const cache = pool.open();
    const step = (tokens: readonly number[], of = cache): Step => ({
      inputs: { tokens: Int32Array.from(tokens) },
      sequences: [{ rows: tokens.length, cache: of }],
      outputs: [{ value: "logits", rows: "last", to: "token", draw: [sampling] }],
    });
    const [expected] = await program.submit(step([1, 2, 3])).result;
    const lost = device.gpu;
    const flying = [step([4]), step([5, 6], pool.open())].map((each) => program.submit(each).result);
    const exported = cache.export();
    lost.device.destroy();
    for (const outcome of await Promise.allSettled([...flying, exported])) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "ERR_DEVICE_LOST" } });
    }
    expect(() => program.submit(step([4]))).toThrow(expect.objectContaining({ code: "ERR_DEVICE_LOST" }));
    expect(() => device.cachePool(cacheSpec(graph), { rows: 8 })).toThrow(
      expect.objectContaining({ code: "ERR_DEVICE_LOST" }),
    );
    await expect(device.compile(graph, parameters)).rejects.toMatchObject({ code: "ERR_DEVICE_LOST" });

    const again = await device.loadParameters([graph], source);
    expect(device.gpu).not.toBe(lost);
    const next = await device.compile(graph, again);
    await expect(device.compile(graph, parameters)).rejects.toMatchObject({ code: "ERR_DEVICE_LOST" });
    expect(() => next.submit(step([4]))).toThrow(expect.objectContaining({ code: "ERR_DEVICE_LOST" }));
    const fresh = device.cachePool(cacheSpec(graph), { rows: 64 }).open();
    expect((await next.submit(step([1, 2, 3], fresh)).result)[0]).toEqual(expected);
  });

  test("what it does not compute is refused by op, shapes and remedy, before anything is loaded", async () => {
    await using device = await webgpu();
    const odd = buildGraph((g) => {
      const [q, k] = [g.activations("q", 6), g.activations("k", 3)];
      return [g.attention("y", q, k, k, { heads: 2, kvHeads: 1, headDim: 3 })];
    });
    const { source } = tinyModel();
    const refusal = { code: "ERR_UNSUPPORTED", op: "attention", shapes: { q: ["rows", 6], k: ["rows", 3] } };
    expect(device.supports(odd.nodes[0]!, new Map())).toMatchObject(refusal);
    await expect(device.loadParameters([odd], source)).rejects.toMatchObject(refusal);
    expect(device.live).toEqual({ buffers: 0, bytes: 0 });
  });

  test("parameters serve the graphs that they were loaded for", async () => {
    const { graph, source } = tinyModel();
    await using device = await webgpu();
    const parameters = await device.loadParameters([graph], source);
    const table = graph.weights.find(({ name }) => name === "tok_embeddings.weight")!; // the model has it
    const other = buildGraph((g) => {
      const x = g.activations("x", table.shape[1]!); // [rows, columns]
      return [g.rmsNorm("y", x, g.weight("output.weight", [table.shape[1]!]), { eps: 1e-5 })];
    });
    await expect(device.compile(other, parameters)).rejects.toMatchObject({ code: "ERR_PARAMETERS" });
    expect(device.live.bytes).toBe(parameters.bytes);
  });

  test("what throws while its errors are watched is what the caller hears, whatever becomes of the watching", async () => {
    const device = await (await findAdapter({})).requestDevice();
    const gpu = new Gpu(device, true, "software", { subgroups: false }, 2 ** 30, {});
    let popped = 0;
    // A mock of vitest's would handle the rejections that it records.
    Object.defineProperty(device, "popErrorScope", { value: () => Promise.reject(new Error(`lost ${++popped}`)) });
    const unhandled = vi.fn();
    process.on("unhandledRejection", unhandled);
    const guarded = () =>
      gpu.guarded("a buffer", () => {
        throw new RangeError("too large");
      });
    expect(guarded).toThrow("too large");
    expect(popped).toBe(3);
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    device.destroy();
  });

  test("values that cannot be read while a later chunk is prepared are the run's error alone", async () => {
    const { graph, source } = tinyModel();
    const device = await (await findAdapter({})).requestDevice();
    await using loaded = await loadGraph(await webgpu({ device }), graph, source);
    const create = device.createBuffer.bind(device);
    let refused = 0;
    device.createBuffer = (descriptor) => {
      const buffer = create(descriptor);
      const mapAsync = () => Promise.reject(new Error(`no room to read ${++refused}`));
      if (descriptor.label === "staging") Object.defineProperty(buffer, "mapAsync", { value: mapAsync });
      return buffer;
    };
    const pop = device.popErrorScope.bind(device);
    device.popErrorScope = async () => {
      const popped = pop();
      await new Promise((resolve) => setImmediate(resolve)); // what is prepared takes longer than to refuse
      return popped;
    };
    const unhandled = vi.fn();
    process.on("unhandledRejection", unhandled);
    const inputs = { tokens: Int32Array.of(1, 2, 3) };
    const run = loaded.run({ inputs, sequences: [{ rows: 2 }, { rows: 1 }] }, [...graph.widths.keys()].slice(-2));
    await expect(run).rejects.toThrow("no room to read 1");
    process.off("unhandledRejection", unhandled);
    expect(refused).toBe(4);
    expect(unhandled).not.toHaveBeenCalled();
    device.destroy();
  });

  test("the first prompt and the first token use what was prepared for them", async () => {
    const { graph, source } = tinyModel();
    const device = await (await findAdapter({})).requestDevice();
    const asked = [{ value: "logits", rows: "last" }] as const;
    await using loaded = await loadGraph(await webgpu({ device }), graph, source, { wanted: asked });
    const cache = loaded.pool(64).open();
    const bindings = vi.spyOn(device, "createBindGroup");
    const made = async (tokens: readonly number[]): Promise<readonly (string | undefined)[]> => {
      bindings.mockClear();
      const sequences = [{ rows: tokens.length, cache }];
      await loaded.run({ inputs: { tokens: Int32Array.from(tokens) }, sequences }, asked);
      return bindings.mock.calls.map(([{ label }]) => label);
    };
    // A cache is bound to a plan when both first meet; all else was bound before.
    for (const tokens of [[1, 2, 3], [4]]) {
      expect((await made(tokens)).filter((label) => !/^(cache of|attention) /.test(label ?? ""))).toEqual([]);
    }
    expect(await made([5])).toEqual([]);
    device.destroy();
  });

  test("a device of the caller's is not destroyed", async () => {
    const { graph, source } = tinyModel();
    const gpu = await (await findAdapter({})).requestDevice();
    const first = await webgpu({ device: gpu });
    const tokens = await draw(await loadGraph(first, graph, source), 4);
    await first[Symbol.asyncDispose]();
    expect(first.live).toEqual({ buffers: 0, bytes: 0 });
    const second = await webgpu({ device: gpu });
    expect(await draw(await loadGraph(second, graph, source), 4)).toEqual(tokens);
    await second[Symbol.asyncDispose]();
    gpu.destroy();
  });

  test("lowered limits cut every buffer and binding of weights and caches, and steps into submissions", async () => {
    const { graph, source } = tinyModel();
    const largest = loweredLimits.maxBufferSize;
    const measured = async (submissionWork?: number) => {
      const device = await (await findAdapter({})).requestDevice();
      await using opened = await webgpu({
        device,
        ...(submissionWork !== undefined && { loweredLimits: { ...loweredLimits, submissionWork } }),
      });
      const buffers = vi.spyOn(device, "createBuffer");
      await using loaded = await loadGraph(opened, graph, source);
      const cache = loaded.pool(64).open();
      const sizes = buffers.mock.calls.flatMap(([{ size, usage }]) => ((usage & storage) === 0 ? [] : [size]));
      const bindings = vi.spyOn(device, "createBindGroup");
      const submissions = vi.spyOn(device.queue, "submit");
      await loaded.run({ inputs: { tokens: Int32Array.of(1, 2) }, sequences: [{ rows: 2, cache }] }, ["logits"]);
      const bound = bindings.mock.calls.flatMap(([{ entries }]) =>
        [...entries].map(({ resource }) => sizeOf(resource)),
      );
      return { sizes, bound, submissions: submissions.mock.calls.length };
    };
    const whole = await measured();
    expect(Math.max(...whole.sizes)).toBeGreaterThan(largest);
    expect(whole.submissions).toBe(1);
    const cut = await measured(1);
    expect(Math.max(...cut.sizes)).toBeLessThanOrEqual(largest);
    expect(Math.max(...cut.bound)).toBeLessThanOrEqual(largest);
    const matrices = graph.nodes.filter(({ op }) => op === "linear").length;
    expect(cut.submissions).toBeGreaterThan(matrices);
    expect((await measured(1e9)).submissions).toBe(1);
  });

  test("a cache beyond the device's memory is an error that says so, and nothing stays behind", async () => {
    const { graph, source } = tinyModel();
    await using device = await webgpu({ limits: "default" });
    await using loaded = await loadGraph(device, graph, source);
    const before = device.live;
    const refused = expect.objectContaining({ code: "ERR_MEMORY", fittingContext: 2 ** 27 / 64 });
    expect(() => loaded.pool(2 ** 28)).toThrow(refused);
    expect(device.live).toEqual(before);
  });

  test("what may not fit is refused before anything is read, with the context that would", async () => {
    const { graph, source } = tinyModel();
    let reads = 0;
    const counting: WeightSource = {
      ...source,
      read: (...given) => {
        reads++;
        return source.read(...given);
      },
    };
    await using small = await webgpu({ memory: 2 ** 20 });
    await expect(loadGraph(small, graph, counting)).rejects.toMatchObject({ code: "ERR_MEMORY", fittingContext: 0 });
    expect(reads).toBe(0);
    await using device = await webgpu({ memory: 16 * 2 ** 20 });
    await using loaded = await loadGraph(device, graph, counting);
    let fitting = 0;
    try {
      loaded.pool(10 ** 6);
    } catch (error) {
      if (error instanceof MemoryError) fitting = error.fittingContext;
    }
    expect(fitting).toBeGreaterThan(1000);
    const pool = loaded.pool(fitting);
    expect(pool.blocks * pool.blockRows).toBeGreaterThanOrEqual(fitting);
    const { allocated, total, free } = await device.memory();
    expect([total, free]).toEqual([16 * 2 ** 20, 16 * 2 ** 20 - allocated]);
    expect(free).toBeGreaterThanOrEqual(0);
  });

  test.each(["f16", "bf16"] as const)("a cache in %s takes half the memory of keys and values", async (format) => {
    const { graph, source } = tinyModel();
    await using device = await webgpu();
    await using loaded = await loadGraph(device, graph, source);
    const bytesOf = (wanted: "f32" | "f16" | "bf16"): number => {
      const before = device.live.bytes;
      using _ = loaded.pool(64, { format: wanted });
      return device.live.bytes - before;
    };
    // Room for splits of 128 keys comes to the same, whatever the format.
    const keysAndValues = 64 * (2 * 2 * 2 * 16 * 4);
    expect(bytesOf("f32") - bytesOf(format)).toBe(keysAndValues / 2);
  });

  test("options that nobody honours are refused", async () => {
    await expect(webgpu({ limits: "most" as "default" })).rejects.toMatchObject({ code: "ERR_OPTION" });
    await expect(webgpu({ speed: 1 } as object)).rejects.toMatchObject({ code: "ERR_OPTION" });
    await expect(webgpu({ features: { f16: true } as object })).rejects.toMatchObject({ code: "ERR_OPTION" });
  });

  test("a kernel that fails names itself, its operation and shapes", async () => {
    const { graph, source } = tinyModel();
    const device = await (await findAdapter({})).requestDevice();
    await using loaded = await loadGraph(await webgpu({ device }), graph, source);
    // A buffer that somebody destroys under our feet makes the submission invalid.
    const dispatch = device.queue.submit.bind(device.queue);
    const wrong = device.createBuffer({ size: 16, usage: 8 });
    wrong.destroy();
    device.queue.submit = (buffers) => {
      const encoder = device.createCommandEncoder();
      encoder.clearBuffer(wrong);
      dispatch([...buffers, encoder.finish()]);
    };
    const one = { inputs: { tokens: Int32Array.of(4) } };
    await expect(loaded.run(one, ["logits"])).rejects.toThrow(/decode of 1 rows from embedding/);
    device.queue.submit = dispatch;
    expect((await loaded.run(one, ["logits"]))[0]!.shape).toEqual([1, 256]);
    device.destroy();
  });

  test("a graph without weights runs at once after another failed to compile", async () => {
    await using device = await webgpu();
    const add = buildGraph((g) => [g.add("y", g.activations("a", 3), g.activations("b", 3))]);
    const none = { name: "none", weights: new Map(), read: async () => new Uint8Array(), fingerprint: async () => "" };
    await expect(loadGraph(device, tinyModel().graph, none)).rejects.toMatchObject({ code: "ERR_CHECKPOINT" });
    await using loaded = await loadGraph(device, add, none);
    const inputs = { a: Float32Array.of(1, 2, 3), b: Float32Array.of(4, 5, 6) };
    expect([...(await loaded.run({ inputs }, ["y"]))[0]!.data]).toEqual([5, 7, 9]);
  });

  test("memory that runs out while weights are allocated is an error that names the matrix and its bytes", async () => {
    const { graph, source } = tinyModel();
    const device = await (await findAdapter({})).requestDevice();
    const memory = memoryOf(device);
    const create = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      memory.refuse ||= descriptor.label === "output.weight";
      return create(descriptor);
    };
    await using opened = await webgpu({ device });
    await expect(loadGraph(opened, graph, source)).rejects.toMatchObject({
      code: "ERR_MEMORY",
      message: expect.stringMatching(
        /^output\.weight, 65536 bytes of \d+ for all weights: the device has no memory left/,
      ),
      name: "MemoryError",
      what: expect.stringContaining("output.weight"),
      needed: 65536,
      available: undefined,
    });
    expect(opened.live).toEqual({ buffers: 0, bytes: 0 });
    device.destroy();
  });

  test("memory that runs out anywhere in a step is an error of that step alone", async () => {
    const { graph, source } = tinyModel();
    const device = await (await findAdapter({})).requestDevice();
    let granted = Number.POSITIVE_INFINITY; // guards with buffers that are still let through
    const memory = memoryOf(device);
    let first = true;
    const create = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      if (first) memory.refuse = granted-- <= 0;
      first = false;
      const buffer = create(descriptor);
      if (memory.refuse) buffer.destroy(); // of no use, as one that was not granted
      return buffer;
    };
    const push = device.pushErrorScope.bind(device);
    device.pushErrorScope = (filter) => {
      first = true;
      push(filter);
    };
    await using opened = await webgpu({ device });
    const parameters = await opened.loadParameters([graph], source);
    const outputs: readonly Output[] = [
      { value: "logits", rows: "all", to: "host" },
      { value: "logits", rows: "last", to: "token", draw: [sampling, sampling] },
    ];
    const tokens = Int32Array.of(1, 2, 3, 4);
    const run = async (of: Program, cache: SequenceCache) => {
      using fork = cache.fork(); // whose block is copied
      const step = { inputs: { tokens }, sequences: [{ rows: 1, cache: fork }, { rows: 3 }], outputs };
      const { result, tokens: drawn } = of.submit(step);
      drawn?.[Symbol.dispose]();
      const [logits, chosen] = await result;
      return [logits?.to === "host" && [...logits.tensor.data], chosen?.to === "token" && [...chosen.tokens]];
    };
    let refused = 0;
    let expected: unknown;
    for (let failed = true; failed; refused++) {
      await using program = await opened.compile(graph, parameters, { outputs: [] });
      using pool = opened.cachePool(cacheSpec(graph), { rows: 8, sequences: 2 });
      const cache = pool.open();
      await program.submit({ inputs: { tokens }, sequences: [{ rows: 4, cache }], outputs: [] }).result;
      expected ??= await run(await opened.compile(graph, parameters), cache);
      granted = refused;
      const [outcome] = await Promise.allSettled([run(program, cache)]);
      failed = granted < 0;
      granted = Number.POSITIVE_INFINITY;
      if (failed) expect(outcome, `refusal ${refused}`).toMatchObject({ reason: { code: "ERR_MEMORY" } });
      expect(await run(program, cache), `behind refusal ${refused}`).toEqual(expected);
    }
    expect(refused).toBeGreaterThan(8);
    await opened[Symbol.asyncDispose]();
    expect(opened.live).toEqual({ buffers: 0, bytes: 0 });
    device.destroy();
  });

  test("no WebGPU adapter is an error that says what to do", async () => {
    const none: GPU = {
      requestAdapter: async () => null,
      getPreferredCanvasFormat: () => "rgba8unorm",
      wgslLanguageFeatures: new Set(),
    };
    await expect(webgpu({ gpu: none })).rejects.toMatchObject({
      code: "ERR_BACKEND",
      message: expect.stringMatching(/found no adapter.*driver/),
    });
  });
});
