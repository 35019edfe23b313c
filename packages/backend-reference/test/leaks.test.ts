// What is left of programs that were disposed: asked of the garbage collector, since this backend has no memory but JavaScript's.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { buildGraph, type WeightSource } from "@polyllama/core";
import { expect, test } from "vitest";
import { reference } from "../src/index.ts";
import { ReferenceProgram } from "../src/program.ts";

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

test("a program that was disposed is forgotten, while others of its backend live", async () => {
  await using backend = reference();
  await using other = await backend.compile(graph, source);
  const made = async (dispose: boolean): Promise<WeakRef<object>> => {
    const program = await backend.compile(graph, source);
    if (dispose) await program[Symbol.asyncDispose]();
    return new WeakRef(program);
  };
  expect([await collected(await made(false)), await collected(await made(true))]).toEqual([false, true]);
  expect(other.graph).toBe(graph);
});

test("whoever keeps a program that was disposed does not keep its weights", async () => {
  const load = (): readonly [ReferenceProgram, WeakRef<object>] => {
    const weights = new Map([["w", { info, values: new Float32Array(16), bytes: new Uint8Array(0) }]]);
    return [new ReferenceProgram(graph, weights, undefined), new WeakRef(weights)];
  };
  const [program, weights] = load();
  expect(await collected(weights)).toBe(false);
  await program[Symbol.asyncDispose]();
  expect(await collected(weights)).toBe(true);
  expect(program.graph).toBe(graph);
});
