// swigluGrad: from the flat to the linear part of silu, as swiglu.

import { buildGraph } from "@polyllama/core";
import { activations } from "../inputs.ts";
import { random } from "../random.ts";
import { memoryWeights } from "../weights.ts";
import { type OpCase, opCase } from "./op-case.ts";
import { rowSizes } from "./row-sizes.ts";

export function swigluGradCases(): readonly OpCase[] {
  return rowSizes([1, 3, 33, 172, 11008, 13824, 28672]).map(({ n, width, input }) =>
    opCase("swigluGrad", { n, f: width, input }, (seed) => {
      const stream = random(`swigluGrad ${n} ${width} ${input}`, seed);
      const gate = activations(input, n, width, stream).map((value, i) => value * (i % 3 === 0 ? 8 : 1));
      const up = activations("normal", n, width, stream);
      const dy = activations("normal", n, width, stream);
      return {
        graph: buildGraph((g) => {
          const operands = [
            g.activations("gate", width),
            g.activations("up", width),
            g.activations("dy", width),
          ] as const;
          const made = g.swigluGrad("d", ...operands);
          return [made.gate, made.up];
        }),
        weights: memoryWeights([]),
        actions: [{ run: { gate, up, dy }, sequences: [{ rows: n }] }],
      };
    }),
  );
}
