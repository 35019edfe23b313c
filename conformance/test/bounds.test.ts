// No bound is wider than what is recorded: a sample of cases on the reference in the name of each backend, whatever
// that computes. All cases: `npm run conformance -- --backend NAME --bounds`.

import { readdirSync, readFileSync } from "node:fs";
import { describeWithSystem } from "@polyllama/test-support/system";
import { describe, expect, test } from "vitest";
import { isSample } from "../environments/selections.ts";
import { type Subject, subjects } from "../environments/subjects.ts";
import { besideLines } from "../src/beside.ts";
import { type Bounds, boundsOf, inNameOf, widened } from "../src/bounds.ts";
import type { CaseResult, ConformanceCase } from "../src/case.ts";
import { conformanceCases } from "../src/cases.ts";

const folder = new URL("../bounds/", import.meta.url);
const recorded = (name: string): Bounds => JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8"));
const bounded = conformanceCases().filter(({ ownBounds }) => ownBounds !== true);
/** Every kind of operation at small sizes, chains, a model and a path. */
const sample = bounded.filter(
  ({ address }) =>
    isSample(address) ||
    /^chain:norm-linear:.*n=1$|^model:end-to-end:model=grouped|^path:fused:format=f32.*ragged/.test(address) ||
    /^training:gradients:model=tied/.test(address),
);
/** What a subject's record has of some cases. */
const recordedOf = (cases: readonly ConformanceCase[], trains: boolean): readonly ConformanceCase[] =>
  cases.filter(({ training }) => trains || training !== true);

test("what is recorded is what today's cases allow some backend", () => {
  const names = new Map(Object.values(subjects).map(({ bounds, trains = false }) => [bounds, trains]));
  expect(readdirSync(folder).sort()).toEqual([...names.keys()].map((name) => `${name}.json`).sort());
  for (const [name, trains] of names) {
    const known = recordedOf(bounded, trains).map(({ address }) => address);
    expect(Object.keys(recorded(name))).toEqual(known);
  }
});

function keeps({ bounds, roundings, trains = false }: Subject): void {
  const tried = recordedOf(sample, trains);
  test(`${bounds}: ${tried.length} cases`, async () => {
    await using backend = inNameOf(await roundings());
    const results: CaseResult[] = [];
    for (const { run } of tried) results.push(await run(backend, 1));
    expect(results.filter(({ status }) => status !== "passed")).toEqual([]);
    expect(Object.keys(boundsOf(results))).toHaveLength(tried.length);
    expect(widened(recorded(bounds), boundsOf(results))).toEqual([]);
  });
}

describe("no case allows more than is recorded", () => {
  for (const name of ["cpu", "cpu-int8", "onnxruntime", "onnxruntime-int8", "cuda", "cuda-f32", "cuda-bf16"])
    keeps(subjects[name]!); // known ones
  describeWithSystem("vulkan", "webgpu", () => keeps(subjects["webgpu-dawn"]!)); // likewise
});

const result = (address: string, worst: number, allowed?: readonly [number, number]): CaseResult => {
  return { address, status: "passed", worst, detail: "", ...(allowed && { allowed }) };
};

test("a case is wider by its mean or by its largest bound, and new ones are not", () => {
  const before = boundsOf([result("a", 0, [1, 2]), result("b", 0, [1, 2]), result("c", 0, [1, 2])]);
  const now = boundsOf([
    result("a", 0, [1, 2.5]),
    result("b", 0, [1.000_000_01, 1]),
    result("c", 0, [0.5, 2]),
    result("d", 0, [9, 9]),
    result("e", 0),
  ]);
  expect(widened(before, now)).toEqual([
    { address: "a", before: [1, 2], now: [1, 2.5] },
    { address: "b", before: [1, 2], now: [1.000_000_01, 1] },
  ]);
});

test("results stand beside those before, the worst of each kind with its case", () => {
  const now = [result("op:add:n=1", 0.25), result("op:add:n=2", 0.5), { ...result("op:add:n=3", 9), status: "failed" }];
  const before = [result("op:add:n=1", 0.75), result("chain:gone:n=1", 1)];
  expect(besideLines([...(now as CaseResult[]), result("path:long:n=1", 0)], before)).toEqual([
    "what        passed  worst  in case  before  in case",
    "add         2 of 3  0.500  n=2      0.750   n=1",
    "path: long  1 of 1  0.00   n=1      -",
  ]);
});
