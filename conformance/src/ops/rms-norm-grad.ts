// rmsNormGrad: widths as of rmsNorm, and an epsilon that matters.

import { buildGraph } from "@polyllama/core";
import { combinations } from "../combine.ts";
import { activations } from "../inputs.ts";
import { random } from "../random.ts";
import { memoryWeights, randomWeight } from "../weights.ts";
import { type OpCase, opCase } from "./op-case.ts";

const norms = combinations.with([
  ...combinations
    .combine("d", [1, 2, 33, 172, 257, 4096, 5120, 8192])
    .combine("n", [1, 5])
    .with([{ eps: 1e-5, input: "normal" }]),
  ...combinations
    .combine("input", ["cancelling", "zeros", "one-hot"])
    .combine("eps", [1e-5, 0.5])
    .with([{ n: 3, d: 96 }]),
]);

export function rmsNormGradCases(): readonly OpCase[] {
  return norms.map(({ n, d, eps, input }) =>
    opCase("rmsNormGrad", { n, d, eps, input }, (seed) => {
      const stream = random(`rmsNormGrad ${n} ${d} ${eps} ${input}`, seed);
      return {
        graph: buildGraph((g) => {
          const made = g.rmsNormGrad("d", g.activations("x", d), g.activations("dy", d), g.weight("w", [d]), { eps });
          return [made.x, made.weight];
        }),
        weights: memoryWeights([randomWeight("w", [d], "f32", stream)]),
        actions: [
          {
            run: { x: activations(input, n, d, stream), dy: activations("normal", n, d, stream) },
            sequences: [{ rows: n }],
          },
        ],
      };
    }),
  );
}
