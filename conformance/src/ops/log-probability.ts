// logProbability: vocabularies of one token and of many, rows without a target, temperatures.

import { buildGraph, type FormatName, ops, type PresetName, presets } from "@polyllama/core";
import { type Combinations, combinations } from "../combine.ts";
import { activations } from "../inputs.ts";
import { type Random, random } from "../random.ts";
import { memoryWeights, randomWeight } from "../weights.ts";
import { type OpCase, type OpScript, opCase } from "./op-case.ts";
import { publishedModels } from "./published.ts";

/** An output projection, and the rows that go through it. */
export interface Projection {
  readonly v: number;
  readonly d: number;
  readonly n: number;
  readonly temperature: number;
  readonly format: FormatName;
}

/** Sizes of output projections, as of its gradient. */
export const projections: readonly Projection[] = [
  ...combinations
    .with([
      { v: 1, d: 8 },
      { v: 31, d: 33 },
      { v: 512, d: 64 },
      { v: 5003, d: 96 },
    ])
    .combine("n", [1, 6])
    .with([{ temperature: 1, format: "f32" }]),
  ...combinations.combine("temperature", [0.7, 1.3]).with([{ v: 131, d: 64, n: 9, format: "f32" }]),
  { v: 131, d: 64, n: 5, temperature: 1, format: "q8_0" },
  // More logits than backends keep at once.
  { v: 8501, d: 4, n: 257, temperature: 0.9, format: "f32" },
];

/** Those of the published models, whose vocabulary has 32,000 tokens. */
export const publishedProjections: Combinations<Projection & { readonly model: PresetName }> = combinations
  .combine("model", publishedModels)
  .with(({ model }): readonly Projection[] => {
    const { vocabSize: v, dim: d } = presets[model];
    return [{ v, d, n: 2, temperature: 1, format: model === "llama-2-7b" ? "f32" : "q4_0" }];
  });

/** A target for each row, but for every fourth. */
export function drawTargets(n: number, v: number, stream: Random): Int32Array {
  return Int32Array.from({ length: n }, (_, i) => (i % 4 === 3 ? -1 : stream.integer(v)));
}

export function logProbabilityCases(): readonly OpCase[] {
  return [
    ...projections.map(({ v, d, n, temperature, format }) => {
      const given = { v, d, n, temperature, format };
      return opCase("logProbability", given, (seed) => script(given, seed));
    }),
    ...publishedProjections.map(({ model, v, d, n, temperature, format }) => {
      const given = { v, d, n, temperature, format };
      return opCase("logProbability", { model, ...given }, (seed) => script(given, seed), { slow: true });
    }),
  ];
}

function script({ v, d, n, temperature, format }: Projection, seed: number): OpScript {
  const stream = random(`logProbability ${v} ${d} ${n} ${temperature} ${format}`, seed);
  return {
    graph: buildGraph((g) => {
      const operands = { x: g.activations("x", d), targets: g.tokens("targets"), weight: g.weight("w", [v, d]) };
      const made = g.apply(ops.logProbability, "y", operands, { temperature, logSumExp: true });
      return [made.out, made.logSumExp!]; // as the attribute says
    }),
    weights: memoryWeights([randomWeight("w", [v, d], format, stream)]),
    actions: [
      {
        run: { x: activations("normal", n, d, stream), targets: drawTargets(n, v, stream) },
        sequences: [{ rows: n }],
      },
    ],
  };
}
