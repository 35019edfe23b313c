// attentionGrad: groupings, head widths, and sequences of several lengths in one step. Its operands are those of a true
// attention, which is computed for them first: a softmax that does not sum to one says nothing.

import { buildGraph, presets } from "@polyllama/core";
import { combinations } from "../combine.ts";
import { activations } from "../inputs.ts";
import { type Random, random } from "../random.ts";
import { memoryWeights } from "../weights.ts";
import { type OpCase, type OpScript, opCase } from "./op-case.ts";
import { publishedModels } from "./published.ts";

interface Heads {
  readonly heads: number;
  readonly kvHeads: number;
  readonly d: number;
}

/** Rows of each sequence of a step. */
const rowCounts: readonly (readonly number[])[] = [[1], [9], [4, 1, 33]];

const shapes = combinations
  .with([
    { heads: 1, kvHeads: 1, d: 16 },
    { heads: 6, kvHeads: 2, d: 32 },
    { heads: 5, kvHeads: 1, d: 6 },
    { heads: 8, kvHeads: 8, d: 8 },
    { heads: 4, kvHeads: 2, d: 128 },
  ])
  .combine("rows", rowCounts);

/** More rows than backends compute at once. */
const many = combinations.with([{ heads: 2, kvHeads: 1, d: 6 }]).combine("rows", [[133, 1, 40]]);

/** Heads of the published models. */
const published = combinations
  .combine("model", publishedModels)
  .with(({ model }) => {
    const { heads, kvHeads, headDim } = presets[model];
    return [{ heads, kvHeads, d: headDim }];
  })
  .with([{ rows: [4, 1, 33] }]);

export function attentionGradCases(): readonly OpCase[] {
  return [
    ...[...shapes, ...many].map(({ rows, ...shape }) =>
      opCase("attentionGrad", { ...shape, rows: rows.join("+") }, (seed) => script(shape, rows, seed)),
    ),
    ...published.map(({ model, heads, kvHeads, d, rows }) => {
      const shape = { heads, kvHeads, d };
      const parameters = { model, ...shape, rows: rows.join("+") };
      return opCase("attentionGrad", parameters, (seed) => script(shape, rows, seed), { slow: true });
    }),
  ];
}

function script({ heads, kvHeads, d }: Heads, rows: readonly number[], seed: number): OpScript {
  const stream = random(`attentionGrad ${heads} ${kvHeads} ${d} ${rows}`, seed);
  return {
    graph: buildGraph((g) => {
      const [wide, narrow] = [heads * d, kvHeads * d];
      const [q, k, v] = [g.activations("q", wide), g.activations("k", narrow), g.activations("v", narrow)];
      const [out, sum, dy] = [g.activations("out", wide), g.activations("sum", heads), g.activations("dy", wide)];
      const made = g.attentionGrad("d", q, k, v, out, sum, dy, { heads, kvHeads, headDim: d });
      return [made.q, made.k, made.v];
    }),
    weights: memoryWeights([]),
    actions: [
      { run: operands({ heads, kvHeads, d }, rows, stream), sequences: rows.map((count) => ({ rows: count })) },
    ],
  };
}

function operands({ heads, kvHeads, d }: Heads, rows: readonly number[], stream: Random) {
  const total = rows.reduce((sum, count) => sum + count, 0);
  const draw = (width: number): Float32Array => activations("normal", total, width, stream);
  const [q, k, v, dy] = [draw(heads * d), draw(kvHeads * d), draw(kvHeads * d), draw(heads * d)];
  const [out, sum] = [new Float32Array(total * heads * d), new Float32Array(total * heads)];
  let first = 0;
  for (const count of rows) {
    for (let n = first; n < first + count; n++) {
      for (let h = 0; h < heads; h++) {
        const [query, group] = [(n * heads + h) * d, Math.floor((h * kvHeads) / heads)];
        const keys = Array.from({ length: n - first + 1 }, (_, t) => ((first + t) * kvHeads + group) * d);
        const weights = keys.map((key) => {
          let dot = 0;
          for (let i = 0; i < d; i++) dot += q[query + i]! * k[key + i]!;
          return Math.exp(dot / Math.sqrt(d));
        });
        const all = weights.reduce((a, b) => a + b, 0);
        sum[n * heads + h] = Math.log(all);
        for (const [t, key] of keys.entries()) {
          for (let i = 0; i < d; i++) out[query + i]! += (weights[t]! / all) * v[key + i]!;
        }
      }
    }
    first += count;
  }
  return { q, k, v, out, sum, dy };
}
