import { conformanceCases } from "@polyllama/conformance";
import { expect, test } from "vitest";
import { breadthFirst } from "../src/suite.ts";

test("the suite's order begins with the cheapest of every kind", () => {
  const cases = conformanceCases().filter(({ training = false }) => !training);
  const ordered = breadthFirst(cases).map(({ address }) => address);
  expect([...ordered].sort()).toEqual(cases.map(({ address }) => address).sort());
  for (const format of ["f32", "bf16", "q4_0", "q4_k", "q8_k"]) {
    expect(ordered.findIndex((address) => address.startsWith(`op:linear:format=${format};`))).toBeLessThan(120);
  }
  expect(ordered.slice(0, -30).some((address) => address.startsWith("model:layer:"))).toBe(false);
});
