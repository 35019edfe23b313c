// The ablation of attention: parameters at the paper's size and at small ones, and that each of the three trains.

import { reference } from "@polyllama/backend-reference";
import { llamaGraph, parameterCount, presets } from "@polyllama/core";
import { tinyConfig } from "@polyllama/test-support/tiny-model";
import { randomSource } from "@polyllama/test-support/weights";
import { describe, expect, test } from "vitest";
import { ablation30b, attentionAblation, type Batch, createTrainer, packExamples } from "../src/index.ts";

/** What "equal" means in the comparison. */
const onePercent = 1 / 100;

const small = { ...tinyConfig, heads: 16, kvHeads: 16, headDim: 4, hiddenDim: 128 };

describe("the ablation of attention", () => {
  test("at the paper's size: its factors, and parameters equal to 1 %", () => {
    const { mha, gqa, mqa } = attentionAblation(ablation30b, { multiple: 256 });
    expect([mha, gqa, mqa].map(({ kvHeads, hiddenDim }) => [kvHeads, hiddenDim])).toEqual([
      [64, 16384],
      [8, 83 * 256],
      [1, 85 * 256],
    ]);
    const [all, grouped, one] = [mha, gqa, mqa].map(parameterCount) as [number, number, number]; // three
    expect(all).toBe(2 * 32000 * 8192 + 48 * (10 * 8192 ** 2 + 2 * 8192) + 8192);
    for (const count of [grouped, one]) expect(Math.abs(count / all - 1)).toBeLessThanOrEqual(onePercent);
  });

  test("of a small model, whose parameters are those of its graph", () => {
    for (const config of Object.values(attentionAblation(small, { kvHeads: 2 }))) {
      const count = llamaGraph(config).weights.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
      expect(count).toBe(parameterCount(config));
      expect(Math.abs(count / parameterCount(small) - 1)).toBeLessThanOrEqual(onePercent);
    }
  });

  test("of published sizes with the widths that even them out, which the paper's factors do not", () => {
    const base = presets["llama-2-7b"];
    expect(() => attentionAblation(base)).toThrow(
      /gqa would have \d\.\d % more parameters than mha; take widening: "equal"/,
    );
    const { gqa, mqa } = attentionAblation(base, { widening: "equal" });
    expect([gqa.hiddenDim, mqa.hiddenDim]).toEqual([13056, 13653]); // x 1.19 and 1.24
    // A width is off by half a row of three matrices in each layer at most.
    const most = (base.layers * 3 * base.dim) / 2;
    for (const config of [gqa, mqa]) {
      expect(Math.abs(parameterCount(config) - parameterCount(base))).toBeLessThanOrEqual(most);
    }
    expect(() => attentionAblation({ ...base, heads: 12 })).toThrow("kvHeads is 8; it must be a divisor of 12");
  });

  test.each(["mha", "gqa", "mqa"] as const)("%s trains", async (name) => {
    const graph = llamaGraph(attentionAblation({ ...small, layers: 1 }, { kvHeads: 2, widening: "equal" })[name]);
    const batch: Batch = [[...packExamples([{ ids: [1, 8, 3, 9, 4, 2], counts: Array(6).fill(1) }], { length: 8 })]];
    await using device = reference();
    await using trainer = await createTrainer(device, graph, randomSource(graph));
    const losses: number[] = [];
    for (let step = 0; step < 4; step++) losses.push((await trainer.step(batch, 0.003)).loss);
    expect(losses).toEqual([...losses].sort((a, b) => b - a));
    expect(new Set(losses).size).toBe(4);
  });
});
