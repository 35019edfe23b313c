// The frame around steps, with an executor that ends when it is told to.

import { buildGraph, type Graph, type WeightInfo, type WeightSource } from "@polyllama/core";
import type { OutputValue, Step } from "@polyllama/core/device";
import { PagedPool, SharedParameters, type StepExecutor, StepTensor } from "@polyllama/planner";
import { describe, expect, test } from "vitest";
import { ProgramFrame } from "../../src/frame/program-frame.ts";
import { StepQueue } from "../../src/frame/step-queue.ts";

const graph: Graph = buildGraph((g) => {
  const x = g.activations("x", 2);
  return [g.attention("y", x, x, x, { heads: 1, kvHeads: 1, headDim: 2 })];
});

interface Begun {
  readonly step: Step;
  readonly signal: AbortSignal;
  readonly end: (values: readonly OutputValue[]) => void;
  readonly fail: (error: Error) => void;
  /** Lets the next step begin. */
  readonly pass: () => void;
}

interface SetUp {
  readonly passes?: boolean;
  readonly weights?: ReadonlyMap<string, WeightInfo>;
}

function setUp({ passes = true, weights = new Map() }: SetUp = {}) {
  const owner = {};
  const queue = new StepQueue();
  const begun: Begun[] = [];
  const freed: string[] = [];
  const executor: StepExecutor<{ bytes: number; free(): void }> = {
    owns: () => true,
    accept: ({ step, record }) => ({
      tokens: new StepTensor(
        [1, 2],
        "activations",
        { read: async () => Float32Array.of(1, 2), free: () => freed.push("tensor") },
        record,
      ),
      begin: (signal) =>
        new Promise((resolve) => {
          const outputs = new Promise<readonly OutputValue[]>((end, fail) => {
            const pass = (): void => resolve({ outputs });
            begun.push({ step, signal, end, fail, pass });
          });
          outputs.catch(() => undefined);
          if (passes) resolve({ outputs });
        }),
    }),
    free: () => void freed.push("program"),
  };
  const parameters = new SharedParameters({ weights, bytes: 0, free: () => void freed.push("parameters") }, owner, {
    mutable: true,
    onFree: () => undefined,
  });
  const program = new ProgramFrame({
    graph,
    parameters,
    owner,
    queue,
    executor,
    onDispose: () => freed.push("told"),
  });
  const pool = new PagedPool({
    spec: [{ kvHeads: 1, headDim: 2 }],
    format: "f32",
    blockRows: 4,
    blocks: 8,
    storage: { bytes: 1, free: () => freed.push("pool") },
    owner,
    transfer: async (action) => {
      await queue.underWay.settled();
      return action();
    },
    onFree: () => undefined,
  });
  return { program, pool, begun, freed, parameters };
}

const rows = (count: number): Step["inputs"] => ({ x: new Float32Array(2 * count) });
const settle = async (): Promise<void> => {
  for (let i = 0; i < 50; i++) await undefined;
};

describe("steps of a program", () => {
  test("begin in the order of submission, and end on their own", async () => {
    const { program, begun } = setUp({ passes: false });
    const steps = [1, 2, 3].map((count) =>
      program.submit({ inputs: rows(count), sequences: [{ rows: count }], outputs: [] }),
    );
    await settle();
    expect(begun).toHaveLength(1);
    begun[0]!.pass();
    await settle();
    expect(begun.map(({ step }) => step.sequences[0]!.rows)).toEqual([1, 2]);
    begun[0]!.end([]);
    expect(await steps[0]!.result).toEqual([]);
  });

  test("advance their caches when they are submitted, and take that back when they fail, with what builds upon them", async () => {
    const { program, pool, begun } = setUp();
    const cache = pool.open();
    const step = (count: number): Step => ({ inputs: rows(count), sequences: [{ rows: count, cache }], outputs: [] });
    const first = program.submit(step(3));
    const second = program.submit(step(4));
    expect([cache.length, pool.freeBlocks]).toEqual([7, 6]);
    await settle();
    expect(begun).toHaveLength(2);
    begun[1]!.end([]); // the later one is done before the earlier one fails
    await settle();
    begun[0]!.fail(new Error("broken"));
    await expect(first.result).rejects.toThrow("broken");
    await expect(second.result).rejects.toMatchObject({ code: "ERR_DEPENDENCY" });
    expect([cache.length, pool.freeBlocks]).toEqual([0, 8]);
  });

  test("a step that builds upon a failed one never begins", async () => {
    const { program, pool, begun } = setUp({ passes: false });
    const cache = pool.open();
    const step: Step = { inputs: rows(1), sequences: [{ rows: 1, cache }], outputs: [] };
    const first = program.submit(step);
    const second = program.submit(step);
    await settle();
    begun[0]!.fail(new Error("broken"));
    begun[0]!.pass();
    await expect(first.result).rejects.toThrow("broken");
    await expect(second.result).rejects.toMatchObject({ code: "ERR_DEPENDENCY" });
    expect(begun).toHaveLength(1);
  });

  test("an abort is heard in the queue and while a step runs", async () => {
    const { program, pool, begun } = setUp({ passes: false });
    const cache = pool.open();
    const controllers = [new AbortController(), new AbortController()];
    const running = program.submit({ inputs: rows(1), sequences: [{ rows: 1 }], outputs: [] }, controllers[0]!.signal);
    const waiting = program.submit(
      { inputs: rows(5), sequences: [{ rows: 5, cache }], outputs: [] },
      controllers[1]!.signal,
    );
    await settle();
    controllers[1]!.abort(new Error("enough"));
    await expect(waiting.result).rejects.toThrow("enough");
    expect([cache.length, pool.freeBlocks]).toEqual([0, 8]);
    controllers[0]!.abort(new Error("too long"));
    expect(begun[0]!.signal.aborted).toBe(true);
    begun[0]!.pass();
    begun[0]!.end([]);
    await expect(running.result).rejects.toThrow("too long");
    expect(() =>
      program.submit({ inputs: rows(1), sequences: [{ rows: 1 }], outputs: [] }, controllers[0]!.signal),
    ).toThrow("too long");
  });

  test("what one step computes is another one's input before it is there", async () => {
    const { program, begun } = setUp();
    const first = program.submit({ inputs: rows(1), sequences: [{ rows: 1 }], outputs: [] });
    const second = program.submit({ inputs: { x: first.tokens! }, sequences: [{ rows: 1 }], outputs: [] });
    await settle();
    begun[1]!.end([]); // computed from whatever the first one left
    begun[0]!.fail(new Error("broken"));
    await expect(second.result).rejects.toMatchObject({ code: "ERR_DEPENDENCY" });
    await expect(first.tokens!.read()).rejects.toMatchObject({ code: "ERR_DEPENDENCY" });
  });

  test("a tensor is freed when it is disposed and no step uses it", async () => {
    const { program, begun, freed } = setUp();
    const first = program.submit({ inputs: rows(1), sequences: [{ rows: 1 }], outputs: [] });
    const second = program.submit({ inputs: { x: first.tokens! }, sequences: [{ rows: 1 }], outputs: [] });
    first.tokens![Symbol.dispose]();
    await settle();
    for (const each of begun) each.end([]);
    expect(freed).toEqual([]);
    await second.result;
    expect(freed).toEqual(["tensor"]);
    expect(() => program.submit({ inputs: { x: first.tokens! }, sequences: [{ rows: 1 }], outputs: [] })).toThrow(
      expect.objectContaining({ code: "ERR_DISPOSED" }),
    );
  });
});

describe("disposal", () => {
  test("of a program ends its steps, waits for them, and frees what it held once", async () => {
    const { program, pool, begun, freed, parameters } = setUp({ passes: false });
    const cache = pool.open();
    const running = program.submit({ inputs: rows(1), sequences: [{ rows: 1, cache }], outputs: [] });
    const waiting = program.submit({ inputs: rows(1), sequences: [{ rows: 1 }], outputs: [] });
    parameters[Symbol.dispose]();
    await settle();
    const disposals = [program[Symbol.asyncDispose](), program[Symbol.asyncDispose]()];
    expect(() => program.submit({ inputs: rows(1), sequences: [{ rows: 1 }], outputs: [] })).toThrow(
      expect.objectContaining({ code: "ERR_DISPOSED" }),
    );
    await expect(waiting.result).rejects.toMatchObject({ code: "ERR_DISPOSED" });
    expect(freed).toEqual([]);
    begun[0]!.pass();
    begun[0]!.end([]);
    await expect(running.result).rejects.toMatchObject({ code: "ERR_DISPOSED" });
    await Promise.all(disposals);
    expect(freed).toEqual(["program", "parameters", "told"]);
    expect(cache.length).toBe(0);
  });

  test("of a pool waits for the steps that use it", async () => {
    const { program, pool, begun, freed } = setUp();
    const cache = pool.open();
    const { result } = program.submit({ inputs: rows(1), sequences: [{ rows: 1, cache }], outputs: [] });
    await settle();
    pool[Symbol.dispose]();
    expect(freed).toEqual([]);
    begun[0]!.end([]);
    await result;
    expect(freed).toEqual(["pool"]);
    expect(() => program.submit({ inputs: rows(1), sequences: [{ rows: 1, cache }], outputs: [] })).toThrow(
      expect.objectContaining({ code: "ERR_DISPOSED" }),
    );
  });
});

describe("what a step declares wrongly", () => {
  test("is refused at once, and changes nothing", () => {
    const { program, pool } = setUp();
    const foreign = setUp().pool.open();
    const cache = pool.open();
    const refuse = (step: Partial<Step>, code: string): void =>
      expect(() => program.submit({ inputs: rows(2), sequences: [{ rows: 2 }], outputs: [], ...step })).toThrow(
        expect.objectContaining({ code }),
      );
    refuse({ sequences: [{ rows: 2, cache: foreign }] }, "ERR_GRAPH");
    refuse(
      {
        sequences: [
          { rows: 1, cache },
          { rows: 1, cache },
        ],
      },
      "ERR_GRAPH",
    );
    refuse({ sequences: [{ rows: 2, cache, position: 0 }] }, "ERR_GRAPH");
    refuse({ sequences: [{ rows: 1 }] }, "ERR_GRAPH");
    refuse({ sequences: [{ rows: 2, adapter: "none" }] }, "ERR_GRAPH");
    refuse({ outputs: [{ value: "z", rows: "all", to: "host" }] }, "ERR_GRAPH");
    refuse({ outputs: [{ value: "y", rows: "last", to: "token", draw: [] }] }, "ERR_GRAPH");
    refuse({ outputs: [{ value: "y", to: "score", targets: Int32Array.of(1) }] }, "ERR_GRAPH");
    refuse({ updates: { w: "y" } }, "ERR_GRAPH");
    refuse({ inputs: rows(40), sequences: [{ rows: 40, cache }] }, "ERR_CACHE_FULL");
    expect([cache.length, pool.freeBlocks]).toEqual([0, 8]);
  });
});

test("an adapter that cannot be read leaves its name free, and so does one that is disposed", async () => {
  let readable = false;
  const adapters = {
    bytes: 0,
    add: async () => {
      if (!readable) throw new Error("no such file");
    },
    remove: async () => undefined,
    free: () => undefined,
  };
  const storage = { weights: new Map(), bytes: 0, free: () => undefined };
  const parameters = new SharedParameters(storage, {}, { adapters, onFree: () => undefined });
  const source: WeightSource = {
    name: "adapter",
    weights: new Map(),
    read: async () => new Uint8Array(0),
    fingerprint: async () => "adapter",
  };
  await expect(parameters.addAdapter("poet", source)).rejects.toThrow("no such file");
  expect(parameters.hasAdapter("poet")).toBe(false);
  readable = true;
  for (let i = 0; i < 2; i++) {
    using _ = await parameters.addAdapter("poet", source);
    expect(parameters.hasAdapter("poet")).toBe(true);
    await expect(parameters.addAdapter("poet", source)).rejects.toMatchObject({ code: "ERR_OPTION" });
  }
  expect(parameters.hasAdapter("poet")).toBe(false);
});

describe("a step that updates parameters", () => {
  const update = { inputs: rows(1), sequences: [{ rows: 1 }], outputs: [], updates: { w: "y" } };
  const writing = () => {
    const set = setUp({ weights: new Map([["w", { name: "w", shape: [2], format: "f32" } as const]]) });
    return { ...set, submit: (signal?: AbortSignal) => set.program.submit(update, signal) };
  };

  test("is done where it has written, whoever aborts meanwhile", async () => {
    const { submit, begun } = writing();
    const stop = new AbortController();
    const { result } = submit(stop.signal);
    await settle();
    stop.abort(new Error("stopped"));
    begun[0]!.end([]);
    expect(await result).toEqual([]);
  });

  test("and was cut short leaves parameters that nothing uses any more, and says so", async () => {
    const { program, pool, parameters, submit, begun, freed } = writing();
    const stop = new AbortController();
    const { result } = submit(stop.signal);
    const reads = program.submit({ inputs: rows(1), sequences: [{ rows: 1, cache: pool.open() }], outputs: [] });
    await settle();
    stop.abort(new Error("stopped"));
    begun[0]!.fail(parameters.damage(new Error("device lost")));
    begun[1]!.fail(new Error("device lost"));
    const cut = { code: "ERR_PARAMETERS", message: expect.stringMatching(/cut short.*Load them again/) };
    await expect(result).rejects.toMatchObject({ ...cut, cause: { message: "device lost" } });
    await expect(reads.result).rejects.toThrow("device lost");
    expect(() => submit()).toThrow(expect.objectContaining(cut));
    expect(() => parameters.export()).toThrow(expect.objectContaining(cut));
    expect(() => parameters.retain()).toThrow(expect.objectContaining(cut));
    await program[Symbol.asyncDispose]();
    parameters[Symbol.dispose]();
    expect(freed).toContain("parameters");
  });
});
