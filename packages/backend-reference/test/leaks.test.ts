// What is left of programs that were disposed: asked of the garbage collector, since this backend has no memory but
// JavaScript's.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { buildGraph, type WeightSource } from "@polyllama/core";
import type { Program } from "@polyllama/core/device";
import type { SharedParameters } from "@polyllama/planner";
import { expect, test } from "vitest";
import { reference } from "../src/index.ts";
import type { ReferenceParameters } from "../src/parameters.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void; // what the flag brings

/** Collects in a turn of its own: what a turn has looked at through a WeakRef lives until its end. */
async function collected(reference: WeakRef<object>): Promise<boolean> {
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  return reference.deref() === undefined;
}

const graph = buildGraph((g) => [g.linear("y", g.activations("x", 4), g.weight("w", [4, 4]))]);
const info = { name: "w", shape: [4, 4], format: "f32" as const };
const source: WeightSource = {
  name: "zeros",
  weights: new Map([["w", info]]),
  read: async () => new Uint8Array(64),
  fingerprint: async () => "",
};

test("a program that was disposed is forgotten, while others of its device live", async () => {
  await using device = reference();
  using parameters = await device.loadParameters([graph], source);
  await using other = await device.compile(graph, parameters);
  const made = async (dispose: boolean): Promise<WeakRef<object>> => {
    const program = await device.compile(graph, parameters);
    if (dispose) await program[Symbol.asyncDispose]();
    return new WeakRef(program);
  };
  expect([await collected(await made(false)), await collected(await made(true))]).toEqual([false, true]);
  expect(other.graph).toBe(graph);
});

test("whoever keeps a program that was disposed does not keep its weights", async () => {
  await using device = reference();
  const load = async (): Promise<readonly [Program, WeakRef<object>]> => {
    using parameters = await device.loadParameters([graph], source);
    const { storage } = parameters as SharedParameters<ReferenceParameters>; // as this device makes them
    const { values } = storage.loaded.get("w")!; // loaded just now
    return [await device.compile(graph, parameters), new WeakRef(values)];
  };
  const [program, values] = await load();
  expect(await device.memory()).toEqual({ allocated: 64 });
  expect(await collected(values)).toBe(false);
  await program[Symbol.asyncDispose]();
  expect(await device.memory()).toEqual({ allocated: 0 });
  expect(await collected(values)).toBe(true);
  expect(program.graph).toBe(graph);
});
