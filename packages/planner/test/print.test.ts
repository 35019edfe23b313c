import { buildGraph, llamaGraph } from "@polyllama/core";
import { printPlan } from "@polyllama/planner";
import { describe, expect, test } from "vitest";
import { config, model, planned, preferring, request, stacked } from "./support.ts";

describe("a printed plan", () => {
  test("has the steps of all layers that are alike once, and what they do on the way", () => {
    const graph = llamaGraph({ ...config, layers: 12 });
    const { plan } = planned(graph, request({ all: ["logits"] }), preferring());
    expect(printPlan(plan)).toEqual([
      " 0  embedding embedding q8_0 [128, 64]         -> b0",
      " 1  linear layers.0.q q8_0 [128, 64]           b0 -> b1              norm",
      " 2  cache of layers.0.attention [4 / 2 x 16]   b1+64 b1+96 b1 -> b2  rotates keys, rotates queries",
      " 3  attention layers.0.attention [4 / 2 x 16]  b2 -> b3",
      " 4  linear layers.0.wo q8_0 [64, 64]           b3 b0 -> b4           residual",
      " 5  linear layers.0.gate q8_0 [192, 64]        b4 -> b5              norm, swiglu",
      " 6  linear layers.0.down q8_0 [64, 96]         b5 b4 -> b6           residual",
      "    ... 11 times more: steps 7 to 72",
      "73  linear logits q8_0 [128, 64]               b72 -> b73            norm",
      "74 steps from tokens to logits in b73; activations take 1024 bytes a row",
    ]);
  });

  test("says what is selected, converted or part of a group", () => {
    const graph = buildGraph((g) => {
      const x = g.activations("x", 32);
      const [a, b] = ["a", "b"].map((name) => g.linear(name, x, g.weight(`w${name}`, [8, 32])));
      return [a!, b!];
    });
    const conversion = { formats: new Set(["q8_0"] as const), absorbs: [], values: 32, words: 16, extraWords: 4 };
    const preferences = preferring([], [], { partialGroups: true, conversion });
    const { plan } = planned(graph, request({ selected: ["b"] }), preferences, stacked);
    expect(printPlan(plan)).toEqual([
      "0  rows of x [32]         b0 -> b1  selected rows",
      "1  converted x [32]       b1 -> b2  selected rows",
      "2  linear b q8_0 [8, 32]  b2 -> b3  rows 8 to 15 of 16, selected rows",
      "3 steps from x to b in b3; activations take 256 bytes a row",
    ]);
  });

  test("names both results of an addition that normalizes", () => {
    const { plan } = planned(model, request({ all: ["layers.0.ffn_norm"] }), preferring(["addNorm"]));
    expect(printPlan(plan).find((line) => line.includes("add layers.0.h"))).toMatch(
      / b0 b\d+ -> b\d+ b\d+ +norm of the sum$/,
    );
  });
});
