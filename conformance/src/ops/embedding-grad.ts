// embeddingGrad: tokens that occur once, often and never.

import { buildGraph, type Graph, presets } from "@polyllama/core";
import type { HostStep } from "@polyllama/core/device";
import { combinations } from "../combine.ts";
import { activations } from "../inputs.ts";
import { random } from "../random.ts";
import { memoryWeights } from "../weights.ts";
import { type OpCase, type OpScript, opCase } from "./op-case.ts";
import { publishedModels } from "./published.ts";

const tables = combinations
  .with([
    { v: 1, d: 33 },
    { v: 257, d: 64 },
    { v: 1000, d: 512 },
  ])
  .combine("n", [1, 40]);

/** Tables of the published models, of which the rows that tokens have are computed exactly, and are all there is. */
const published = combinations
  .combine("model", publishedModels)
  .with(({ model }) => [{ v: presets[model].vocabSize, d: presets[model].dim, n: 40 }]);

interface Table {
  readonly v: number;
  readonly d: number;
  readonly n: number;
}

export function embeddingGradCases(): readonly OpCase[] {
  return [
    ...tables.map(({ v, d, n }) => opCase("embeddingGrad", { v, d, n }, (seed) => script({ v, d, n }, seed))),
    ...published.map(({ model, v, d, n }) =>
      opCase("embeddingGrad", { model, v, d, n }, (seed) => largeScript({ v, d, n }, seed), { slow: true }),
    ),
  ];
}

function script({ v, d, n }: Table, seed: number) {
  const stream = random(`embeddingGrad ${v} ${d} ${n}`, seed);
  const tokens = Int32Array.from({ length: n }, (_, i) => (i % 3 === 0 ? v - 1 : stream.integer(v)));
  return {
    graph: graphOf(v, d),
    weights: memoryWeights([]),
    tokens,
    actions: [{ run: { tokens, dy: activations("normal", n, d, stream) }, sequences: [{ rows: n }] }],
  };
}

function largeScript(given: Table, seed: number): OpScript {
  const { tokens, ...whole } = script(given, seed);
  const rows = [...new Set(tokens)];
  const inputs = ({ dy }: HostStep["inputs"]) => ({ tokens: tokens.map((token) => rows.indexOf(token)), dy: dy! }); // is given
  const sampled = {
    graph: graphOf(rows.length, given.d),
    weights: memoryWeights([]),
    rows,
    inputs,
    rest: "zeros",
  } as const;
  return { ...whole, sampled };
}

function graphOf(v: number, d: number): Graph {
  return buildGraph((g) => [g.embeddingGrad("table", g.tokens("tokens"), g.activations("dy", d), { tableRows: v })]);
}
