// embedding: every format, and tables of one row and of many; the first row, the last one and one twice.

import { buildGraph, type FormatName } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { combinations } from "../combine.ts";
import { random } from "../random.ts";
import { memoryWeights, randomWeight } from "../weights.ts";
import { type OpCase, opCase } from "./op-case.ts";

const tables = combinations.combine("format", Object.keys(formats) as FormatName[]).with([
  // the record's own keys
  { v: 1, d: 256 },
  { v: 257, d: 512 },
  { v: 1000, d: 4096 },
]);

export function embeddingCases(): readonly OpCase[] {
  return tables.map(({ format, v, d }) =>
    opCase("embedding", { format, v, d }, (seed) => {
      const stream = random(`embedding ${format} ${v} ${d}`, seed);
      const tokens = Int32Array.from([0, v - 1, ...Array.from({ length: 15 }, () => stream.integer(v)), v - 1]);
      return {
        graph: buildGraph((g) => [g.embedding("y", g.tokens("tokens"), g.weight("table", [v, d]))]),
        weights: memoryWeights([randomWeight("table", [v, d], format, stream)]),
        actions: [{ run: { tokens }, sequences: [{ rows: tokens.length }] }],
      };
    }),
  );
}
