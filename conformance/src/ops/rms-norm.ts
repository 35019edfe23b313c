// rmsNorm: widths of 1, odd ones, beside those of tiles and the models' own; kinds of input; and an epsilon that
// matters.

import { buildGraph } from "@polyllama/core";
import { combinations } from "../combine.ts";
import { activations, inputKinds } from "../inputs.ts";
import { random } from "../random.ts";
import { memoryWeights, randomWeight } from "../weights.ts";
import { type OpCase, opCase } from "./op-case.ts";

const usual = { n: 1, d: 1, eps: 1e-5, format: "f32", input: "normal" } as const;

const norms = combinations.with([
  ...combinations.combine("d", [1, 2, 31, 33, 172, 255, 257, 4096, 5120, 8192]).combine("n", [1, 5]),
  ...combinations
    .combine("input", inputKinds)
    .combine("eps", [1e-5, 1e-6])
    .with([{ n: 3, d: 512 }]),
  ...combinations.combine("format", ["f16", "bf16"]).with([{ n: 2, d: 64 }]),
  // An epsilon that matters shows whether it stands inside the root.
  ...combinations.combine("eps", [0.5, 1e-2]).with([{ n: 2, d: 96 }]),
]);

export function rmsNormCases(): readonly OpCase[] {
  return norms.map((given) => {
    const { n, d, eps, format, input } = { ...usual, ...given };
    return opCase("rmsNorm", { n, d, eps, format, input }, (seed) => {
      const stream = random(`rmsNorm ${n} ${d} ${eps} ${input}`, seed);
      return {
        graph: buildGraph((g) => [g.rmsNorm("y", g.activations("x", d), g.weight("w", [d]), { eps })]),
        weights: memoryWeights([randomWeight("w", [d], format, stream)]),
        actions: [{ run: { x: activations(input, n, d, stream) }, sequences: [{ rows: n }] }],
      };
    });
  });
}
