// Options that may be given several times: all that was given counts.

import { expect, test } from "vitest";
import { collect, collectTokens, logitBias } from "../src/values.ts";

test("texts and tokens are collected in their order; digits are an id", () => {
  expect(collect("b", collect("a"))).toEqual(["a", "b"]);
  expect(collectTokens("</s>", collectTokens("13"))).toEqual([13, "</s>"]);
});

test("biases are collected; -inf forbids a token", () => {
  expect(logitBias("7=-inf", logitBias("13=-2.5"))).toEqual({ 13: -2.5, 7: -Infinity });
  expect(logitBias("7=-Infinity")).toEqual({ 7: -Infinity });
  expect(() => logitBias("7=much")).toThrow(/TOKEN=NUMBER/);
});
