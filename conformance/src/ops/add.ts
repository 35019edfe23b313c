// add: the residual stream, at widths of the models and odd ones.

import { buildGraph } from "@polyllama/core";
import { activations } from "../inputs.ts";
import { random } from "../random.ts";
import { memoryWeights } from "../weights.ts";
import { type OpCase, opCase } from "./op-case.ts";
import { rowSizes } from "./row-sizes.ts";

export function addCases(): readonly OpCase[] {
  return rowSizes([1, 3, 33, 4096, 8192]).map(({ n, width, input }) =>
    opCase("add", { n, d: width, input }, (seed) => {
      const stream = random(`add ${n} ${width} ${input}`, seed);
      const [a, b] = [activations(input, n, width, stream), activations(input, n, width, stream)];
      return {
        graph: buildGraph((g) => [g.add("y", g.activations("a", width), g.activations("b", width))]),
        weights: memoryWeights([]),
        actions: [{ run: { a, b }, sequences: [{ rows: n }] }],
      };
    }),
  );
}
