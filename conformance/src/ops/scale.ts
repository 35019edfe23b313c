// scale: factors that f32 has and has not, on inputs of all kinds.

import { buildGraph } from "@polyllama/core";
import { activations } from "../inputs.ts";
import { random } from "../random.ts";
import { memoryWeights } from "../weights.ts";
import { type OpCase, opCase } from "./op-case.ts";
import { rowSizes } from "./row-sizes.ts";

export function scaleCases(): readonly OpCase[] {
  const sizes = rowSizes([1, 8, 33, 64]).combine("factor", [0.5, 4, -1.1]);
  return sizes.map(({ n, width, factor, input }) =>
    opCase("scale", { n, k: width, factor, input }, (seed) => ({
      graph: buildGraph((g) => [g.scale("y", g.activations("x", width), { factor })]),
      weights: memoryWeights([]),
      // Large values may be beyond f32 once they are scaled up.
      actions: [
        {
          run: {
            x: activations(input, n, width, random(`scale ${n} ${width} ${factor} ${input}`, seed)).map((value) =>
              input === "large" ? value / 4 : value,
            ),
          },
          sequences: [{ rows: n }],
        },
      ],
    })),
  );
}
