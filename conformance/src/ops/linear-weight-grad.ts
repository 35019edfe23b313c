// linearWeightGrad: from one row to many, summed in any order.

import { buildGraph } from "@polyllama/core";
import { combinations } from "../combine.ts";
import { activations, inputKinds } from "../inputs.ts";
import { random } from "../random.ts";
import { memoryWeights } from "../weights.ts";
import { type OpCase, opCase } from "./op-case.ts";

const sizes = combinations.with([
  ...combinations
    .combine("n", [1, 2, 33, 515])
    .with([
      { k: 32, m: 64 },
      { k: 33, m: 31 },
      { k: 172, m: 64 },
    ])
    .with([{ input: "normal" }]),
  ...combinations.combine("input", inputKinds).with([{ n: 7, k: 64, m: 96 }]),
]);

export function linearWeightGradCases(): readonly OpCase[] {
  return sizes.map(({ n, k, m, input }) =>
    opCase("linearWeightGrad", { n, k, m, input }, (seed) => {
      const stream = random(`linearWeightGrad ${n} ${k} ${m} ${input}`, seed);
      const run = { x: activations(input, n, k, stream), dy: activations("normal", n, m, stream) };
      return {
        graph: buildGraph((g) => [g.linearWeightGrad("w", g.activations("x", k), g.activations("dy", m))]),
        weights: memoryWeights([]),
        actions: [{ run, sequences: [{ rows: n }] }],
      };
    }),
  );
}
