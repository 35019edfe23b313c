// The comparator itself: what is within its bound passes, and what is not is named by its place.

import { reference } from "@polyllama/backend-reference";
import { buildGraph, PolyllamaError, type Tensor, UnsupportedError } from "@polyllama/core";
import { describe, expect, test } from "vitest";
import { resultOf } from "../src/case.ts";
import { compareChoices, tooFewDecided } from "../src/comparison/choices.ts";
import { at, both, exact, measure, wrong } from "../src/comparison/measure.ts";
import { noTolerance, toleranceRows, widen, worstShare } from "../src/comparison/tolerance.ts";
import { forwardDevice } from "../src/forward.ts";
import { support } from "../src/support.ts";
import { memoryWeights } from "../src/weights.ts";

const tensor = (width: number, ...values: readonly number[]): Tensor => ({
  shape: [values.length / width, width],
  data: Float64Array.from(values),
});

describe("measure", () => {
  const value = tensor(2, 1, 2, 3, 4);

  test("the largest share of what is allowed, its place, and how wide the bounds are", () => {
    const found = measure(tensor(2, 1, 2.25, 3, 3), value, (row) => [0.5, 2][row]!);
    expect(found).toEqual({ worst: 0.5, row: 0, problem: undefined, width: { sum: 5, largest: 2, count: 4 } });
  });

  test("what is beyond is named", () => {
    const { worst, row, problem } = measure(tensor(2, 1, 2, 3.5, 4), value, () => 0.25);
    expect([worst, row]).toEqual([2, 1]);
    expect(problem).toBe("row 1, column 0: 3.50000000 instead of 3.00000000, where 0.250000000 is allowed");
  });

  test("NaN is beyond anything, and nothing is allowed where the bound is zero", () => {
    expect(measure(tensor(2, 1, Number.NaN, 3, 9), value, () => 1)).toMatchObject({ worst: Infinity, row: 0 });
    expect(measure(tensor(2, 1, 2, 3, 4), value, () => 0).worst).toBe(0);
    expect(measure(tensor(2, 1, 2, 3, 4.5), value, () => 0).worst).toBe(Infinity);
  });

  test("another shape is a finding", () => {
    expect(measure(tensor(4, 1, 2, 3, 4), value, () => 1).problem).toBe("shape [1,4] instead of [2,2]");
  });

  test("of a sample the other columns must be written", () => {
    const sampled = (...values: readonly number[]) =>
      measure(tensor(3, ...values), tensor(2, 1, 2), () => 1, { columns: [0, 2] });
    expect(sampled(1, 7, 2)).toMatchObject({ worst: 0, problem: undefined });
    expect(sampled(1, 7, 4)).toMatchObject({ worst: 2, problem: expect.stringMatching(/^row 0, column 2: 4/) });
    for (const unwritten of [0, Number.NaN, Infinity]) {
      const { worst, problem } = sampled(1, unwritten, 2);
      expect(worst).toBe(Infinity);
      expect(problem).toBe(`row 0, column 1: ${unwritten}, which looks unwritten`);
    }
  });

  test("findings together: the larger share, the first problem, all bounds", () => {
    const within = measure(tensor(2, 1, 2, 3, 4.5), value, () => 1);
    const beyond = at(
      "here",
      measure(tensor(2, 1, 2, 3, 6), value, () => 1),
    );
    const together = both(both(exact, within), both(beyond, wrong("later")));
    expect(together).toEqual({
      worst: Infinity,
      problem: "here: row 1, column 1: 6.00000000 instead of 4.00000000, where 1.00000000 is allowed",
      width: { sum: 8, largest: 1, count: 8 },
    });
  });
});

test("a tolerance allows in each row four times the largest deviation seen in it", () => {
  const tolerance = noTolerance(tensor(2, 1, 2, 3, 4));
  widen(tolerance, tensor(2, 1, 2.5, 3, 4));
  widen(tolerance, tensor(2, 1.25, 2, 3, 3));
  expect([...tolerance.perRow]).toEqual([2, 4]);
  expect(worstShare(tensor(2, 1, 3, 3, 5), tolerance)).toBe(0.5);
  expect(worstShare(tensor(2, 3, 6), toleranceRows(tolerance, 1, 1))).toBe(0.5);
});

describe("choices", () => {
  const logits = tensor(3, 1, 4, 2, 9, 0, 8.5, 5, 1, 1);
  const perRow = Float64Array.of(0.5, 0.5, 2);

  test("a row counts as decided where two tolerances cannot exchange its two largest", () => {
    expect(compareChoices(logits, { exact: logits, perRow })).toEqual({
      rows: 3,
      same: 3,
      decided: 1,
      wrong: undefined,
    });
  });

  test("another token is wrong only there", () => {
    const own = tensor(3, 9, 4, 2, 0, 1, 8.5, 0, 1, 1);
    expect(compareChoices(own, { exact: logits, perRow })).toMatchObject({ same: 0, decided: 1, wrong: 0 });
    expect(tooFewDecided({ rows: 100, same: 100, decided: 94, wrong: undefined })).toMatch(/only 94 of 100 rows/);
    expect(tooFewDecided({ rows: 100, same: 100, decided: 95, wrong: undefined })).toBeUndefined();
  });
});

describe("support", () => {
  const graph = buildGraph((g) => [g.add("y", g.activations("a", 2), g.activations("b", 2))]);
  const needs = { graph, weights: memoryWeights([]) };
  const refuse = (code: "ERR_UNSUPPORTED" | "ERR_MEMORY") => (): never => {
    throw new PolyllamaError(code, "no such thing here");
  };

  test("a device that can gives the graph", async () => {
    const supported = await support(reference(), { ...needs, cache: "f16", sampling: true });
    if (supported.status !== "supported") throw new Error(supported.reason);
    await using loaded = supported.loaded;
    expect(loaded.graph).toBe(graph);
  });

  test("an operation, a format or a cache that it refuses is unsupported, before anything is loaded", async () => {
    const loadParameters = (): never => expect.unreachable("weights were loaded");
    const answer = new UnsupportedError("no such thing here", "Use another backend.");
    const device = forwardDevice(reference(), { loadParameters, supports: () => answer });
    expect(await support(device, needs)).toEqual({ status: "unsupported", reason: answer.message });
    const linear = buildGraph((g) => [g.linear("y", g.activations("x", 32), g.weight("w", [2, 32]))]);
    const weights = memoryWeights([{ name: "w", shape: [2, 32], format: "q4_0", bytes: new Uint8Array(36) }]);
    const plain = forwardDevice(reference(), { loadParameters, formats: new Set(["f32"] as const) });
    expect(await support(plain, { graph: linear, weights })).toMatchObject({
      status: "unsupported",
      reason: expect.stringMatching(/q4_0 of "w"/),
    });
    const caches = { ...needs, cache: "f16" } as const;
    const uncached = forwardDevice(reference(), { loadParameters, cachePool: refuse("ERR_UNSUPPORTED") });
    expect(await support(uncached, caches)).toMatchObject({ status: "unsupported", reason: "no such thing here" });
  });

  test("no other error is an answer", async () => {
    const small = forwardDevice(reference(), { cachePool: refuse("ERR_MEMORY") });
    await expect(support(small, { ...needs, cache: "f16" })).rejects.toMatchObject({ code: "ERR_MEMORY" });
    const late = forwardDevice(reference(), { compile: refuse("ERR_UNSUPPORTED") });
    await expect(support(late, needs)).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
  });

  test("tokens that are chosen on the host alone are a path that is absent", async () => {
    const device = reference();
    const host = forwardDevice(device, { features: { ...device.features, outputs: ["host"] } });
    expect(await support(host, { ...needs, sampling: true })).toMatchObject({ status: "absent" });
  });

  test("a refusal in a run is a failure", async () => {
    const result = await resultOf("op:add", async () => refuse("ERR_UNSUPPORTED")());
    expect(result).toMatchObject({ status: "failed", detail: "no such thing here" });
  });
});
