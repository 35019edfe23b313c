// Prompts on tensor cores: on which cards, by which option, and that a row's result does not depend on the rows beside
// it. What they compute is held to its bounds by the suite (conformance.test.ts).

import { buildGraph, type Graph, type WeightSource } from "@polyllama/core";
import { type LoadedGraph, loadGraph } from "@polyllama/core/device";
import { expect, test } from "vitest";
import { cuda } from "../src/index.ts";
import { describeWithEmulation, emulated, errorOf } from "./support.ts";

const [K, M] = [72, 40];
const graph: Graph = buildGraph((g) => [g.linear("y", g.activations("x", K), g.weight("w", [M, K]))]);

/** Numbers without a pattern, between -1 and 1. */
function noise(length: number, seed: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => (Math.sin((i + 1) * 12.9898 + seed) * 43758.5453) % 1);
}

/** A weight of bf16: the upper halves of f32 numbers. */
const source: WeightSource = {
  name: "noise",
  weights: new Map([["w", { name: "w", shape: [M, K], format: "bf16" }]]),
  async read(_, { rows } = {}) {
    const { first, count } = rows ?? { first: 0, count: M };
    const bits = new Uint32Array(noise(M * K, 1).buffer).map((word) => word >>> 16);
    return new Uint8Array(Uint16Array.from(bits.subarray(first * K, (first + count) * K)).buffer);
  },
  fingerprint: async () => "",
};

async function rowsOf(loaded: LoadedGraph, counts: readonly number[]): Promise<Float32Array> {
  const rows = counts.reduce((sum, count) => sum + count, 0);
  const step = { inputs: { x: noise(rows * K, 2) }, sequences: counts.map((count) => ({ rows: count })) };
  const [y] = await loaded.run(step, ["y"]);
  return y!.data as Float32Array; // this backend's tensors are f32
}

test("activations are f16 or f32, and what f16 rounds is declared", async () => {
  expect(await errorOf(() => cuda({ activations: "int8" as "f16" }))).toMatchObject({ code: "ERR_OPTION" });
  expect(cuda().roundings.tensorCores).toMatchObject({ fromRows: 9, unit: 2 ** -11 });
  expect(cuda({ activations: "f16" }).roundings).toEqual(cuda().roundings);
  expect(cuda({ activations: "f32" }).roundings.tensorCores).toBeUndefined();
});

await describeWithEmulation("tensor cores", (emulation) => {
  const { control } = emulation;

  test.each([
    { card: "9.0", major: 9, minor: 0, activations: "f16", kernels: ["gemm_mma_128", "gemm_mma_32", "gemv_8"] },
    { card: "9.0", major: 9, minor: 0, activations: "f32", kernels: ["gemm", "gemv_8"] },
    { card: "7.5", major: 7, minor: 5, activations: "f16", kernels: ["gemm", "gemv_8"] },
  ] as const)("card $card, activations $activations: $kernels", async ({ major, minor, activations, kernels }) => {
    control.reset();
    control.card({ major, minor });
    await using device = cuda({ ...emulated(emulation), activations });
    const used = activations === "f16" && major >= 8 ? "f16" : "f32";
    expect(device.describe().details).toMatchObject({ activations: used });
    await using loaded = await loadGraph(device, graph, source);
    control.log();
    for (const rows of [8, 9, 65]) await rowsOf(loaded, [rows]);
    const functions = control.log().filter((call) => call.startsWith("cuModuleGetFunction"));
    const called = functions.map((call) => call.split(" ")[1]!).sort();
    expect(called.filter((name) => name.startsWith("gem"))).toEqual(kernels);
    expect(control.reports()).toBe("");
  });

  test("a row's bits are the same in small tiles and large, alone and beside others", async () => {
    control.reset();
    await using device = cuda(emulated(emulation));
    await using loaded = await loadGraph(device, graph, source);
    const alone = await rowsOf(loaded, [11]);
    const together = await rowsOf(loaded, [11, 3, 70]);
    expect(new Uint32Array(together.slice(0, 11 * M).buffer)).toEqual(new Uint32Array(alone.slice().buffer));
    expect(control.reports()).toBe("");
  });
});
