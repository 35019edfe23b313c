// linearInputGrad: formats, since gradients pass through quantized weights, and sizes of the models and odd ones.

import { buildGraph, type FormatName } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { combinations } from "../combine.ts";
import { activations, inputKinds } from "../inputs.ts";
import { random } from "../random.ts";
import { memoryWeights, randomWeight } from "../weights.ts";
import { type OpCase, opCase } from "./op-case.ts";

const sizes = combinations.with([
  ...combinations
    .combine("n", [1, 3, 33])
    .with([
      { k: 32, m: 64 },
      { k: 33, m: 31 },
      { k: 172, m: 64 },
      { k: 512, m: 4096 },
    ])
    .with([{ format: "f32", input: "normal" }]),
  ...combinations.combine("input", inputKinds).with([{ n: 5, k: 64, m: 96, format: "f32" }]),
  ...combinations
    .combine("format", Object.keys(formats) as FormatName[]) // the record's own keys
    .with([{ n: 4, k: 256, m: 48, input: "normal" }]),
]);

export function linearInputGradCases(): readonly OpCase[] {
  return sizes.map(({ n, k, m, format, input }) =>
    opCase("linearInputGrad", { n, k, m, format, input }, (seed) => {
      const stream = random(`linearInputGrad ${n} ${k} ${m} ${format} ${input}`, seed);
      return {
        graph: buildGraph((g) => [g.linearInputGrad("x", g.activations("dy", m), g.weight("w", [m, k]))]),
        weights: memoryWeights([randomWeight("w", [m, k], format, stream)]),
        actions: [{ run: { dy: activations(input, n, m, stream) }, sequences: [{ rows: n }] }],
      };
    }),
  );
}
