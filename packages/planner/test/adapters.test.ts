// The stacks of adapters as weights, and what becomes of programs where a change of adapters fails.

import { adapterGates, adapterStacks, buildGraph, openGate, type WeightInfo } from "@polyllama/core";
import { expect, test } from "vitest";
import type { Adapter } from "../src/adapters/adapter.ts";
import { stackAdapters } from "../src/adapters/stack.ts";
import { SwitchedAdapters } from "../src/adapters/switched-adapters.ts";
import { SwitchingExecutor } from "../src/adapters/switching-executor.ts";
import type { PoolStorage } from "../src/frame/paged-pool.ts";
import type { AcceptedStep, StepExecutor } from "../src/frame/program-frame.ts";
import { StepRecord } from "../src/frame/step-record.ts";

const w: WeightInfo = { name: "w", shape: [2, 3], format: "f32" };
const linears = new Map([["w", w]]);

/** A [rank, 3] of `value` and following, B [2, rank] of ones. */
function adapter(rank: number, value: number, scale: number): Adapter {
  const a = Float32Array.from({ length: 3 * rank }, (_, i) => value + i);
  return new Map([["w", { a, b: new Float32Array(2 * rank).fill(1), rank, scale }]]);
}

async function floats(reading: Promise<Uint8Array>): Promise<readonly number[]> {
  return [...new Float32Array((await reading).slice().buffer)];
}

test("adapters stand behind one another in the stacks, scaled, and filled up with zeros", async () => {
  const adapters = new Map([
    ["one", adapter(1, 10, 2)],
    ["two", adapter(2, 20, 3)],
  ]);
  const { columns, ranges, source } = stackAdapters(adapters, linears);
  expect([columns, ...ranges]).toEqual([16, ["one", { first: 0, count: 1 }], ["two", { first: 1, count: 2 }]]);
  const [a, b] = adapterStacks("w");
  expect(await floats(source.read(a, { rows: { first: 0, count: 4 } }))).toEqual(
    [10, 11, 12, 20, 21, 22, 23, 24, 25, 0, 0, 0], // [4, 3]
  );
  const factors = [2, 3, 3, 0].map((scale) => scale / openGate);
  const rows = { first: 1, count: 1 };
  expect(await floats(source.read(b, { rows, columns: { first: 0, count: 4 } }))).toEqual(factors);
});

test("where a program cannot be prepared nothing changes, and what was made for it is freed", async () => {
  const graph = buildGraph((g) => [g.linear("y", g.activations("x", 3), g.weight("w", [2, 3]))]);
  const freed: string[] = [];
  let loads = 0;
  const load = async () => {
    const name = `stacks ${++loads}`;
    return { weights: name, bytes: 1, free: () => void freed.push(name) };
  };
  const accepted: string[] = [];
  const executor = (name: string): StepExecutor<PoolStorage> => ({
    owns: () => false,
    accept({ step }) {
      const gates = step.inputs[adapterGates] as Float32Array | undefined; // as this package writes them
      accepted.push(`${name}: ${gates === undefined ? "" : [...gates].indexOf(openGate)}`);
      return { begin: () => Promise.reject(new Error("not run")) };
    },
    free: () => void freed.push(name),
  });
  const adapters = new SwitchedAdapters<string, PoolStorage>([graph], linears, load);
  const { signal } = new AbortController();
  const program = (name: string, fails: () => boolean) => {
    const switching = new SwitchingExecutor(executor(name), () => adapters.leave(switching));
    const make = async (_: unknown, stacks: string) => {
      if (fails()) throw new Error("out of memory");
      return executor(`${name} with ${stacks}`);
    };
    return { graph, executor: switching, make };
  };
  let isFull = false;
  const [first, second] = [program("first", () => false), program("second", () => isFull)];
  await adapters.serve(first, signal);
  await adapters.serve(second, signal);
  await adapters.set("one", adapter(1, 10, 1), signal);
  isFull = true;
  await expect(adapters.set("two", adapter(1, 10, 1), signal)).rejects.toThrow("out of memory");
  expect(freed).toEqual(["first with stacks 2", "stacks 2"]);
  const sequences = [undefined, "one"].map((name, first) => {
    return { first, rows: 1, start: 0, cache: undefined, adapter: name };
  });
  const step = { inputs: {}, sequences: [], outputs: [] };
  const places = { rows: 2, sequences, outputRows: [] };
  const given: AcceptedStep<PoolStorage> = { step, places, caches: [], record: new StepRecord() };
  const run = first.executor.accept(given);
  expect(accepted).toEqual(["first with stacks 1: 16"]); // in the second row
  // Removed while a step uses it: freed when that ends.
  isFull = false;
  await adapters.set("one", undefined, signal);
  expect(freed.slice(2)).toEqual(["second with stacks 1"]);
  run.end?.();
  await first.executor.free();
  expect(freed.slice(3)).toEqual(["first with stacks 1", "stacks 1", "first"]);
  expect(adapters.bytes).toBe(0);
});
