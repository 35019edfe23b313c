// Steps that are computed on the host, by a device whose only numbers are sums: every value tells which rows it was
// made of.

import { buildGraph, type Graph, type Node, UnsupportedError, type WeightSource } from "@polyllama/core";
import { cacheSpec, type Device, type Output, type OutputValue, type Program, type Step } from "@polyllama/core/device";
import {
  DeviceFrame,
  type DeviceParts,
  HostBlocks,
  HostExecutor,
  type HostOperands,
  HostWeights,
  hostBlockRows,
} from "@polyllama/planner";
import { describe, expect, test } from "vitest";

type Parts = DeviceParts<HostWeights, HostBlocks<Float64Array>>;
type Compute = (node: Node, operands: HostOperands<Float64Array>) => Float64Array;

/** Of a row: its position; attention sums the keys that it sees. */
const compute: Compute = (node, { value, positions, append, width }) => {
  if (node.op === "add") return value(node.a).data.map((a, i) => a + value(node.b).data[i]!);
  if (node.op === "rope") return value(node.x).data.map((_, i) => positions[Math.floor(i / width(node.output))]!);
  if (node.op !== "attention") throw new Error(`there is no ${node.op} here`);
  const { width: columns, data } = value(node.q);
  const y = new Float64Array(data.length);
  for (const { first, rows, start, past } of append(node)) {
    for (let n = 0; n < rows; n++) {
      for (let i = 0; i < columns; i++) {
        for (let t = 0; t <= start + n; t++) y[(first + n) * columns + i]! += past.k[t * columns + i]!;
      }
    }
  }
  return y;
};

function device(parts: Partial<Parts> = {}, computed: Compute = compute): Device {
  return new DeviceFrame<HostWeights, HostBlocks<Float64Array>>({
    name: "sums",
    describe: () => ({ backend: "sums", device: "test", details: {} }),
    roundings: { unit: 2 ** -53, flushesSubnormals: false, exp: 2, cache: "f64", sources: ["IEEE 754"] },
    formats: new Set(["f32"]),
    features: {
      outputs: ["host", "device", "token", "score"],
      adjustments: true,
      stepsAhead: 1,
      invariantRows: true,
      adapters: false,
      updates: false,
      pagedCaches: true,
      cacheExport: true,
    },
    supports: () => true,
    estimateMemory: () => ({ weights: 0, cache: 0, scratch: 0 }),
    loadWeights: async () => new HostWeights(new Map()),
    caches: {
      formats: ["f32"],
      blockRows: hostBlockRows,
      allocate: ({ spec, blocks }) => new HostBlocks(Float64Array, spec, blocks),
    },
    executor: (graph, { owner }) =>
      new HostExecutor<Float64Array>(graph, owner, {
        arrays: Float64Array,
        compute: (...given) => [computed(...given)],
      }),
    ...parts,
  });
}

const none: WeightSource = {
  name: "none",
  weights: new Map(),
  read: async () => new Uint8Array(0),
  fingerprint: async () => "none",
};

const rotation = { headDim: 2, theta: 10000, scaling: { type: "none" } } as const;
const heads = { heads: 1, kvHeads: 1, headDim: 2 };

/** positions = rope(x); sums = attention over x; y = positions + sums */
const graph: Graph = buildGraph((g) => {
  const x = g.activations("x", 2);
  const turned = g.rope("positions", x, rotation);
  return [g.add("y", turned, g.attention("sums", x, x, x, heads))];
});

async function load(made: Device, of: Graph = graph): Promise<Program> {
  using parameters = await made.loadParameters([of], none);
  return await made.compile(of, parameters);
}

/** Rows whose first element counts from `from` on, and whose second is its negative. */
function rows(count: number, from = 1): Float64Array {
  return Float64Array.from({ length: 2 * count }, (_, i) => (from + (i >> 1)) * (i % 2 === 0 ? 1 : -1));
}

const all = (value: string): Output => ({ value, rows: "all", to: "host" });

/** First elements of each row. */
function firsts(value: OutputValue | undefined): readonly number[] {
  if (value?.to !== "host") throw new Error("not on the host");
  return Array.from(value.tensor.data).filter((_, i) => i % 2 === 0);
}

async function run(program: Program, step: Step): Promise<readonly (readonly number[])[]> {
  return (await program.submit(step).result).map(firsts);
}

describe("a step", () => {
  test("continues each sequence where its cache ends, and those without a cache where they say", async () => {
    await using made = device();
    await using program = await load(made);
    const pool = made.cachePool(cacheSpec(graph), { rows: 64, sequences: 2 });
    const [first, second] = [pool.open(), pool.open()];
    const outputs = [all("positions"), all("sums"), all("y")];
    const given = (x: Float64Array, sequences: Step["sequences"]): Step => ({ inputs: { x }, sequences, outputs });
    expect(
      await run(
        program,
        given(rows(3), [
          { rows: 2, cache: first },
          { rows: 1, cache: second },
        ]),
      ),
    ).toEqual([
      [0, 1, 0],
      [1, 3, 3],
      [1, 4, 3],
    ]);
    const sequences = [
      { rows: 2, cache: first },
      { rows: 1, position: 7 },
      { rows: 1, cache: second },
    ];
    expect(await run(program, given(rows(4, 10), sequences))).toEqual([
      [2, 3, 7, 1],
      [13, 24, 12, 16],
      [15, 27, 19, 17],
    ]);
  });

  test("with more rows than a block has fills several", async () => {
    await using made = device();
    await using program = await load(made);
    const cache = made.cachePool(cacheSpec(graph), { rows: 64 }).open();
    const step: Step = { inputs: { x: rows(40) }, sequences: [{ rows: 40, cache }], outputs: [all("sums")] };
    const [sums] = await run(program, step);
    expect(sums).toEqual(Array.from({ length: 40 }, (_, i) => ((i + 1) * (i + 2)) / 2));
  });

  test("of a fork copies the block that it shares before it writes", async () => {
    await using made = device();
    await using program = await load(made);
    const cache = made.cachePool(cacheSpec(graph), { rows: 64, sequences: 2 }).open();
    const step = (of: typeof cache, x: Float64Array): Step => {
      return { inputs: { x }, sequences: [{ rows: x.length / 2, cache: of }], outputs: [all("sums")] };
    };
    await run(program, step(cache, rows(2)));
    const fork = cache.fork();
    expect(await run(program, step(fork, rows(1, 100)))).toEqual([[103]]);
    expect(await run(program, step(cache, rows(1, 10)))).toEqual([[13]]);
    expect(await run(program, step(fork, rows(1, 1000)))).toEqual([[1103]]);
  });

  test("computes what is asked for, and of the rest only what fills caches", async () => {
    const computed: string[] = [];
    await using made = device({}, (node, operands) => {
      computed.push(node.output);
      return compute(node, operands);
    });
    await using program = await load(made);
    const cache = made.cachePool(cacheSpec(graph), { rows: 64 }).open();
    const step = (...values: readonly string[]): Step => {
      return { inputs: { x: rows(1) }, sequences: [{ rows: 1, cache }], outputs: values.map(all) };
    };
    await run(program, step("positions"));
    expect(computed).toEqual(["positions"]);
    expect(await run(program, step("sums", "x"))).toEqual([[2], [1]]);
    expect(computed).toEqual(["positions", "sums"]);
  });

  test("is aborted between two nodes", async () => {
    const controller = new AbortController();
    const computed: string[] = [];
    await using made = device({}, (node, operands) => {
      computed.push(node.output);
      controller.abort(new Error("enough"));
      return compute(node, operands);
    });
    await using program = await load(made);
    const step: Step = { inputs: { x: rows(1) }, sequences: [{ rows: 1 }], outputs: [all("y")] };
    await expect(program.submit(step, controller.signal).result).rejects.toThrow("enough");
    expect(computed).toEqual(["positions"]);
  });

  test("gives the rows that each output wants", async () => {
    await using made = device();
    await using program = await load(made);
    const outputs: readonly Output[] = [
      { value: "sums", rows: "last", to: "host" },
      { value: "sums", rows: "last", to: "token", draw: [{ ...greedy }, { ...greedy }] },
      { value: "sums", rows: "all", to: "device" },
      { value: "sums", to: "score", targets: Int32Array.of(-1, 0, -1) },
    ];
    const submission = program.submit({ inputs: { x: rows(3, -1) }, sequences: [{ rows: 2 }, { rows: 1 }], outputs });
    const [last, drawn, kept, scores] = await submission.result;
    expect(firsts(last)).toEqual([-1, 1]); // -1 + 0, and 1
    expect(drawn).toMatchObject({ tokens: Int32Array.of(1, 0) }); // of [-1, 1] and [1, -1]
    expect(await submission.tokens?.read()).toEqual(Int32Array.of(1, 0));
    if (kept?.to !== "device" || scores?.to !== "score") throw new Error("other kinds of outputs");
    expect(await kept.tensor.read()).toEqual(Float64Array.of(-1, 1, -1, 1, 1, -1));
    expect(scores.rows.map((row) => row?.logprob)).toEqual([
      undefined,
      expect.closeTo(-Math.log(1 + Math.exp(2)), 12),
      undefined,
    ]);
  });
});

const greedy = { temperature: 0, topK: 0, topP: 1, minP: 0, seed: 1 };

describe("a device", () => {
  test("refuses what it does not have, with the error that says so", async () => {
    const norm = buildGraph((g) => [g.rmsNorm("y", g.activations("x", 2), g.weight("w", [2]), { eps: 1e-5 })]);
    const info = { name: "w", shape: [2], format: "f16" as const };
    const source: WeightSource = { ...none, weights: new Map([["w", info]]) };
    await using made = device();
    await expect(made.loadParameters([norm], source)).rejects.toMatchObject({ code: "ERR_UNSUPPORTED", format: "f16" });
    await expect(made.loadParameters([graph], none, { mutable: true })).rejects.toMatchObject({ op: "updates" });
    expect(() => made.cachePool(cacheSpec(graph), { rows: 1, format: "bf16" })).toThrow(
      expect.objectContaining({ code: "ERR_UNSUPPORTED", op: "attention", format: "bf16" }),
    );
    const refusal = new UnsupportedError("Nothing turns here", "Ask elsewhere.");
    await using still = device({ supports: ({ op }) => (op === "rope" ? refusal : true) });
    await expect(still.loadParameters([graph], none)).rejects.toBe(refusal);
  });

  test("compiles with its own parameters, of the same weights", async () => {
    await using made = device();
    await using other = device();
    using parameters = await made.loadParameters([graph], none);
    await expect(other.compile(graph, parameters)).rejects.toMatchObject({ code: "ERR_PARAMETERS" });
    const norm = buildGraph((g) => [g.rmsNorm("y", g.activations("x", 2), g.weight("w", [2]), { eps: 1e-5 })]);
    await expect(made.compile(norm, parameters)).rejects.toMatchObject({ code: "ERR_PARAMETERS" });
    await expect(made.compile(norm, parameters)).rejects.toThrow(/"w"/);
    const asked = made.compile(graph, parameters, { outputs: [{ value: "nothing", to: "host" }] });
    await expect(asked).rejects.toMatchObject({ code: "ERR_GRAPH", message: expect.stringContaining('"nothing"') });
    parameters[Symbol.dispose]();
    await expect(made.compile(graph, parameters)).rejects.toMatchObject({ code: "ERR_DISPOSED" });
  });

  test("frees a program whose parameters are disposed before it is there", async () => {
    const freed: string[] = [];
    await using made = device({
      executor: () => ({
        owns: () => true,
        accept: () => expect.unreachable(),
        free: () => void freed.push("program"),
      }),
    });
    const parameters = await made.loadParameters([graph], none);
    const compiling = made.compile(graph, parameters);
    parameters[Symbol.dispose]();
    await expect(compiling).rejects.toMatchObject({ code: "ERR_DISPOSED" });
    expect(freed).toEqual(["program"]);
  });

  test("disposes a program that is there after it was disposed itself, before the rest", async () => {
    const order: string[] = [];
    const program = { owns: () => true, accept: () => expect.unreachable(), free: () => void order.push("program") };
    let made: () => void = () => undefined;
    const given = device({
      executor: () => new Promise((resolve) => (made = () => resolve(program))), // heeds no signal
      release: () => void order.push("rest"),
    });
    const compiling = given.compile(graph, await given.loadParameters([graph], none));
    const disposed = given[Symbol.asyncDispose]();
    made();
    await expect(compiling).rejects.toMatchObject({ code: "ERR_DISPOSED" });
    await disposed;
    expect(order).toEqual(["program", "rest"]);
  });

  test("counts its memory, and takes back all that it gave out", async () => {
    const made = device({
      loadWeights: async () =>
        new HostWeights(
          new Map([["w", { info: { name: "w", shape: [2], format: "f32" }, values: new Float32Array(2) }]]),
        ),
    });
    const parameters = await made.loadParameters([graph], none);
    const program = await made.compile(graph, parameters);
    const pool = made.cachePool(cacheSpec(graph), { rows: 64 });
    const cache = pool.open();
    expect(await made.memory()).toEqual({ allocated: 8 });
    await run(program, { inputs: { x: rows(1) }, sequences: [{ rows: 1, cache }], outputs: [all("y")] });
    expect(await made.memory()).toEqual({ allocated: 8 + hostBlockRows * (2 * 2 * 8 + 4) });
    pool[Symbol.dispose]();
    expect(await made.memory()).toEqual({ allocated: 8 });
    await made[Symbol.asyncDispose]();
    expect(await made.memory()).toEqual({ allocated: 0 });
    const step = { inputs: { x: rows(1) }, sequences: [{ rows: 1 }], outputs: [all("y")] };
    expect(() => program.submit(step)).toThrow(expect.objectContaining({ code: "ERR_DISPOSED" }));
    await expect(made.loadParameters([graph], none)).rejects.toMatchObject({ code: "ERR_DISPOSED" });
    expect(() => made.cachePool(cacheSpec(graph), { rows: 1 })).toThrow(
      expect.objectContaining({ code: "ERR_DISPOSED" }),
    );
  });
});
