// linear: every format, shapes at and beside block and tile edges, and the matrices of the published models.

import { buildGraph, type FormatName, type Graph, presets } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { combinations } from "../combine.ts";
import { activations, type InputKind, inputKinds } from "../inputs.ts";
import { type Random, random } from "../random.ts";
import { type MemoryWeight, memoryWeights, randomWeight, takeWeightRows } from "../weights.ts";
import { type OpCase, type OpScript, opCase, type SampledScript } from "./op-case.ts";
import { matricesOf, publishedModels } from "./published.ts";
import { samplePlaces } from "./sample-places.ts";

interface LinearParameters {
  readonly format: FormatName;
  readonly n: number;
  readonly k: number;
  readonly m: number;
  readonly input: InputKind;
}

const formatNames = Object.keys(formats) as FormatName[]; // the record's own keys
const each = combinations.combine("format", formatNames);
const normal = { input: "normal" } as const;

/** One block, several, and rows at and beside the edges of tiles. */
const small = each
  .combine("k", ({ format }) => {
    const { blockSize } = formats[format];
    return blockSize === 1 ? [1, 7, 64, 172, 255, 1024] : [blockSize, 3 * blockSize, 1024];
  })
  .with([
    { n: 1, m: 1 },
    { n: 1, m: 33 },
    { n: 2, m: 64 },
    { n: 3, m: 31 },
    { n: 17, m: 65 },
    { n: 33, m: 15 },
  ])
  .with([normal]);

const inputs = each.with([
  ...combinations
    .combine(
      "input",
      inputKinds.filter((kind) => kind !== "normal"),
    )
    .combine("n", [1, 5, 9])
    .with([{ k: 512, m: 48 }]),
  // Beside the edges of the large tiles that long prompts are computed in.
  { n: 97, k: 256, m: 130, ...normal },
  // One term alone holds the roundings of input, weight and sum to a few hundred units, where the other sums of 70B's
  // widths allow far more. Prompts may take other kernels than single rows. Small enough to be compared whole: in a
  // sampled one, the zeros of a single term would look unwritten.
  ...combinations
    .combine("k", [8192, 28672])
    .with([
      { n: 1, m: 64 },
      { n: 17, m: 8 },
    ])
    .combine("input", ["one-hot"]),
]);

/** Beside another linear over the same input, which backends compute together. */
const beside = combinations
  .combine("format", ["f32", "q4_0", "q6_k"])
  .with([{ n: 3, k: 256, m: 48 }])
  .combine("beside", [16, 48])
  .with([normal]);

/** More rows than backends compute at once. */
const many = combinations.combine("format", ["f32", "q4_0"]).with([{ n: 515, k: 64, m: 33, ...normal }]);

/** All matrices of 7B, 13B and 70B in Q4_0. */
const published = combinations
  .combine("model", publishedModels)
  .with(({ model }) => {
    const { hiddenDim, dim } = presets[model];
    return [...matricesOf(model).map((shape) => ({ n: 1, ...shape })), { n: 9, k: hiddenDim, m: dim }];
  })
  .with([{ format: "q4_0", ...normal }]);

/** Two matrices of their sizes in every other format, and output matrices of three vocabularies. */
const wide = [
  ...each
    .filter(({ format }) => format !== "q4_0")
    .with([
      { n: 1, k: 4096, m: 1024, ...normal },
      { n: 7, k: 8192, m: 512, ...normal },
    ]),
  { format: "f32", n: 2, k: 28672, m: 64, ...normal } as const,
  ...combinations.combine("m", [32000, 49953, 55296]).with([
    { format: "q8_0", n: 1, k: 4096, ...normal },
    { format: "q4_0", n: 2, k: 4096, ...normal },
  ]),
];

export function linearCases(): readonly OpCase[] {
  return [
    ...small.map(linearCase),
    ...inputs.map(linearCase),
    ...beside.map(besideCase),
    ...many.map(linearCase),
    ...published.map(linearCase),
    ...wide.map(linearCase),
  ];
}

function linearCase({ format, n, k, m, input }: LinearParameters): OpCase {
  return opCase("linear", { format, n, k, m, input }, (seed): OpScript => {
    const stream = random(`linear ${format} ${n} ${k} ${m} ${input}`, seed);
    const weight = randomWeight("w", [m, k], format, stream);
    const script: OpScript = {
      graph: linearGraph(k, m),
      weights: memoryWeights([weight]),
      actions: [{ run: { x: activations(input, n, k, stream) }, sequences: [{ rows: n }] }],
    };
    return m * k * n <= 2 ** 22 ? script : { ...script, sampled: sample(weight, k, m, stream) };
  });
}

function besideCase(given: LinearParameters & { readonly beside: number }): OpCase {
  const { format, n, k, m, beside: other, input } = given;
  return opCase("linear", { format, n, k, m, beside: other, input }, (seed): OpScript => {
    const stream = random(`linear ${format} beside ${other}`, seed);
    const weights = [randomWeight("a", [other, k], format, stream), randomWeight("w", [m, k], format, stream)];
    return {
      graph: buildGraph((g) => {
        const x = g.activations("x", k);
        g.linear("b", x, g.weight("a", [other, k]));
        return [g.linear("y", x, g.weight("w", [m, k]))];
      }),
      weights: memoryWeights(weights),
      actions: [{ run: { x: activations(input, n, k, stream) }, sequences: [{ rows: n }] }],
    };
  });
}

function linearGraph(k: number, m: number): Graph {
  return buildGraph((g) => [g.linear("y", g.activations("x", k), g.weight("w", [m, k]))]);
}

/** Some output rows. */
function sample(weight: MemoryWeight, k: number, m: number, stream: Random): SampledScript {
  const rows = samplePlaces(m, stream);
  return { graph: linearGraph(k, rows.length), weights: memoryWeights([takeWeightRows(weight, rows)]), columns: rows };
}
