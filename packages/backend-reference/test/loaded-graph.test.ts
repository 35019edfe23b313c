// Graphs that are loaded in one call, on the reference: what a run takes for granted, and what is left when one is
// disposed.

import { buildGraph, PolyllamaError, type WeightSource } from "@polyllama/core";
import { type Device, loadGraph } from "@polyllama/core/device";
import { expect, test } from "vitest";
import { reference } from "../src/index.ts";

const graph = buildGraph((g) => {
  const [q, kv] = [g.linear("q", g.activations("x", 4), g.weight("w", [4, 4])), g.activations("kv", 4)];
  return [g.attention("y", q, kv, kv, { heads: 1, kvHeads: 1, headDim: 4 })];
});
const source: WeightSource = {
  name: "an identity",
  weights: new Map([["w", { name: "w", shape: [4, 4], format: "f32" }]]),
  read: async (_, { rows: { first, count } = { first: 0, count: 4 } } = {}) => {
    const values = Float32Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 1 : 0));
    return new Uint8Array(values.slice(first * 4, (first + count) * 4).buffer);
  },
  fingerprint: async () => "identity",
};
const inputs = { x: Float32Array.of(1, 0, 0, 0, 0, 2, 0, 0), kv: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8) };

test("rows belong to one sequence unless others are named", async () => {
  await using device = reference();
  await using loaded = await loadGraph(device, graph, source);
  const whole = await loaded.run({ inputs }, ["y"]);
  expect(whole).toEqual(await loaded.run({ inputs, sequences: [{ rows: 2 }] }, ["y"]));
  const apart = await loaded.run({ inputs, sequences: [{ rows: 1 }, { rows: 1 }] }, ["y"]);
  expect([...apart[0]!.data]).toEqual([...inputs.kv]); // a row alone attends to itself
  expect(whole[0]!.data.slice(4)).not.toEqual(apart[0]!.data.slice(4));
});

test("values come in the order in which they are asked for, of all rows or of last ones", async () => {
  await using device = reference();
  await using loaded = await loadGraph(device, graph, source, { wanted: ["q"] });
  const cache = loaded.pool(8).open();
  const step = { inputs, sequences: [{ rows: 2, cache }] };
  const [last, q] = await loaded.run(step, [{ value: "y", rows: "last" }, "q"]);
  expect(q).toEqual({ shape: [2, 4], data: Float64Array.from(inputs.x) });
  expect(last!.shape).toEqual([1, 4]);
  expect(cache.length).toBe(2);
  const [kept] = await loaded.submit({ inputs }, [{ value: "q", rows: "all", to: "device" }]).result;
  using tensor = kept?.to === "device" ? kept.tensor : expect.unreachable("it did not stay on the device");
  expect([...(await tensor.read())]).toEqual([...inputs.x]);
  await expect(loaded.run({ inputs: { x: inputs.x } }, ["y"])).rejects.toThrow('The input "kv" is missing.');
});

test("progress and aborts are for loading and for compiling", async () => {
  await using device = reference();
  const options = { signal: new AbortController().signal, onProgress: () => undefined };
  const given: unknown[] = [];
  const watched: Device = Object.create(device, {
    loadParameters: {
      value: (...[graphs, weights, asked]: Parameters<Device["loadParameters"]>) => {
        given.push(asked);
        return device.loadParameters(graphs, weights, asked);
      },
    },
    compile: {
      value: (...[of, parameters, asked]: Parameters<Device["compile"]>) => {
        given.push(asked);
        return device.compile(of, parameters, asked);
      },
    },
  });
  await using _ = await loadGraph(watched, graph, source, { wanted: ["q"], ...options });
  expect(given).toEqual([options, { outputs: [{ value: "q", rows: "all", to: "host" }], ...options }]);
});

test("disposing it frees weights, pools and the program, and leaves the device", async () => {
  await using device = reference();
  const { allocated } = await device.memory();
  const loaded = await loadGraph(device, graph, source);
  const pool = loaded.pool(8, { sequences: 2 });
  expect(pool.blocks).toBe(2);
  expect((await device.memory()).allocated).toBeGreaterThan(allocated);
  await loaded[Symbol.asyncDispose]();
  expect((await device.memory()).allocated).toBe(allocated);
  expect(() => pool.open()).toThrow(expect.objectContaining({ code: "ERR_DISPOSED" }));
  await using again = await loadGraph(device, graph, source);
  expect(again.graph).toBe(graph);
});

test("weights are freed where the graph cannot be compiled", async () => {
  await using device = reference();
  const { allocated } = await device.memory();
  const refusing: Device = Object.create(device, {
    loadParameters: { value: device.loadParameters.bind(device) },
    compile: { value: () => Promise.reject(new PolyllamaError("ERR_MEMORY", "no room")) },
  });
  await expect(loadGraph(refusing, graph, source)).rejects.toThrow("no room");
  expect((await device.memory()).allocated).toBe(allocated);
});
