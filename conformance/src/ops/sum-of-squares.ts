// sumOfSquares: of vectors and matrices.

import { buildGraph } from "@polyllama/core";
import { combinations } from "../combine.ts";
import { activations, inputKinds } from "../inputs.ts";
import { random } from "../random.ts";
import { memoryWeights } from "../weights.ts";
import { type OpCase, opCase } from "./op-case.ts";

const shapes = combinations.with([
  ...combinations
    .combine("m", [1, 33, 515])
    .combine("k", [1, 257])
    .with([{ input: "normal" }]),
  ...combinations
    .combine(
      "input",
      inputKinds.filter((kind) => kind !== "normal"),
    )
    .with([{ m: 4, k: 64 }]),
]);

export function sumOfSquaresCases(): readonly OpCase[] {
  return shapes.map(({ m, k, input }) =>
    opCase("sumOfSquares", { m, k, input }, (seed) => ({
      graph: buildGraph((g) => [g.sumOfSquares("y", g.fixed("x", [m, k]))]),
      weights: memoryWeights([]),
      // Large values have squares beyond f32.
      actions: [
        {
          run: {
            x: activations(input, m, k, random(`sumOfSquares ${m} ${k} ${input}`, seed)).map((value) =>
              input === "large" ? value * 2 ** -24 : value,
            ),
          },
          sequences: [],
        },
      ],
    })),
  );
}
