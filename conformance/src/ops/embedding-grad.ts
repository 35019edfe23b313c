// embeddingGrad: tokens that occur once, often and never.

import { buildGraph } from "@polyllama/core";
import { combinations } from "../combine.ts";
import { activations } from "../inputs.ts";
import { random } from "../random.ts";
import { memoryWeights } from "../weights.ts";
import { type OpCase, opCase } from "./op-case.ts";

const tables = combinations
  .with([
    { v: 1, d: 33 },
    { v: 257, d: 64 },
    { v: 1000, d: 512 },
  ])
  .combine("n", [1, 40]);

export function embeddingGradCases(): readonly OpCase[] {
  return tables.map(({ v, d, n }) =>
    opCase("embeddingGrad", { v, d, n }, (seed) => {
      const stream = random(`embeddingGrad ${v} ${d} ${n}`, seed);
      const tokens = Int32Array.from({ length: n }, (_, i) => (i % 3 === 0 ? v - 1 : stream.integer(v)));
      return {
        graph: buildGraph((g) => [
          g.embeddingGrad("table", g.tokens("tokens"), g.activations("dy", d), { tableRows: v }),
        ]),
        weights: memoryWeights([]),
        actions: [{ run: { tokens, dy: activations("normal", n, d, stream) }, sequences: [{ rows: n }] }],
      };
    }),
  );
}
