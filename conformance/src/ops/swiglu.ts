// swiglu: widths of the models and odd ones, from the flat to the linear part of silu.

import { buildGraph } from "@polyllama/core";
import { activations } from "../inputs.ts";
import { random } from "../random.ts";
import { memoryWeights } from "../weights.ts";
import { type OpCase, opCase } from "./op-case.ts";
import { rowSizes } from "./row-sizes.ts";

export function swigluCases(): readonly OpCase[] {
  return rowSizes([1, 3, 33, 172, 11008, 28672]).map(({ n, width, input }) =>
    opCase("swiglu", { n, f: width, input }, (seed) => {
      const stream = random(`swiglu ${n} ${width} ${input}`, seed);
      // Gates from -20 to 20 reach both ends of the sigmoid; far beyond them silu is the identity or nothing.
      const gate = activations(input, n, width, stream).map((value, i) => value * (i % 3 === 0 ? 8 : 1));
      const up = activations(input === "large" ? "normal" : input, n, width, stream);
      return {
        graph: buildGraph((g) => [g.swiglu("y", g.activations("gate", width), g.activations("up", width))]),
        weights: memoryWeights([]),
        actions: [{ run: { gate, up }, sequences: [{ rows: n }] }],
      };
    }),
  );
}
