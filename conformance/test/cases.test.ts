// How cases are declared and judged: combinations of parameters, addresses, and what is known of a backend.

import { PolyllamaError } from "@polyllama/core";
import { describe, expect, test } from "vitest";
import { addressFilter } from "../src/address.ts";
import type { CaseResult } from "../src/case.ts";
import { combinations } from "../src/combine.ts";
import { type Expectations, isAsExpected, judge, unmatched } from "../src/expectations.ts";
import { conformanceCases } from "../src/index.ts";

describe("combinations", () => {
  test("each value with each other one, the last changing fastest", () => {
    const sets = [...combinations.combine("a", [1, 2]).combine("b", ["x", "y"])];
    expect(sets).toEqual([
      { a: 1, b: "x" },
      { a: 1, b: "y" },
      { a: 2, b: "x" },
      { a: 2, b: "y" },
    ]);
  });

  test("values may follow from the parameters before, belong together, replace others, and be left out", () => {
    const sets = combinations
      .combine("blockSize", [1, 32])
      .combine("k", ({ blockSize }) => [blockSize, 3 * blockSize])
      .with([
        { n: 1, m: 33 },
        { n: 2, m: 64 },
      ])
      .with(({ n }) => [{ m: n }])
      .filter(({ n, k }) => n === 2 || k > 1);
    expect([...sets]).toEqual([
      { blockSize: 1, k: 1, n: 2, m: 2 },
      { blockSize: 1, k: 3, n: 1, m: 1 },
      { blockSize: 1, k: 3, n: 2, m: 2 },
      { blockSize: 32, k: 32, n: 1, m: 1 },
      { blockSize: 32, k: 32, n: 2, m: 2 },
      { blockSize: 32, k: 96, n: 1, m: 1 },
      { blockSize: 32, k: 96, n: 2, m: 2 },
    ]);
  });

  test("nothing changes in place", () => {
    const one = combinations.combine("a", [1]);
    one.combine("b", [2, 3]);
    expect([...one]).toEqual([{ a: 1 }]);
  });
});

test("no two cases have the same address, and each finds itself by it", () => {
  const addresses = conformanceCases().map(({ address }) => address);
  expect(new Set(addresses).size).toBe(addresses.length);
  for (const address of addresses.filter((_, i) => i % 50 === 0)) {
    expect(addresses.filter(addressFilter(address))).toContain(address);
  }
});

test("a filter of another form is refused", () => {
  expect(() => addressFilter("op:linear:q4_0")).toThrow(PolyllamaError);
});

describe("expectations", () => {
  const known: Expectations = { unsupported: { "op:a:*": "has no a" }, failing: { "op:b:n=1": "is wrong" } };
  const verdictOf = (address: string, status: CaseResult["status"]) =>
    judge({ address, status, worst: 0, detail: "as seen" }, known);

  test.each([
    ["op:a:n=1", "unsupported", "expected unsupported", "has no a"],
    ["op:b:n=1", "failed", "expected failure", "is wrong"],
    ["op:c:n=1", "passed", "passed", ""],
    ["op:c:n=1", "absent", "absent", "as seen"],
  ] as const)("%s, %s, is as expected", (address, status, verdict, reason) => {
    expect(verdictOf(address, status)).toEqual({ verdict, reason });
    expect(isAsExpected(verdict)).toBe(true);
  });

  test.each([
    ["op:a:n=1", "passed", "unexpected pass"],
    ["op:a:n=1", "failed", "failed"],
    ["op:b:n=1", "passed", "unexpected pass"],
    ["op:b:n=1", "unsupported", "unsupported"],
    ["op:b:n=2", "failed", "failed"],
    ["op:c:n=1", "unsupported", "unsupported"],
  ] as const)("%s, %s, is a finding", (address, status, verdict) => {
    expect(verdictOf(address, status).verdict).toBe(verdict);
    expect(isAsExpected(verdict)).toBe(false);
  });

  test("one that no case has is named", () => {
    expect(unmatched(known, ["op:a:n=1", "op:b:n=2"])).toEqual(["op:b:n=1"]);
  });
});
