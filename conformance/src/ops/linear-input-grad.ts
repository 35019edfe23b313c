// linearInputGrad: formats, since gradients pass through quantized weights, and sizes of the models and odd ones.

import { buildGraph, type FormatName, type Graph } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { combinations } from "../combine.ts";
import { sampledColumns } from "../comparison/constants.ts";
import { activations, type InputKind, inputKinds } from "../inputs.ts";
import { random } from "../random.ts";
import { type MemoryWeight, memoryWeights, randomWeight, takeWeightBlocks } from "../weights.ts";
import { type OpCase, type OpScript, opCase } from "./op-case.ts";
import { matricesOf, publishedModels } from "./published.ts";
import { samplePlaces } from "./sample-places.ts";

const sizes = combinations.with([
  ...combinations
    .combine("n", [1, 3, 33])
    .with([
      { k: 32, m: 64 },
      { k: 33, m: 31 },
      { k: 172, m: 64 },
      { k: 512, m: 4096 },
    ])
    .with([{ format: "f32", input: "normal" }]),
  ...combinations.combine("input", inputKinds).with([{ n: 5, k: 64, m: 96, format: "f32" }]),
  ...combinations
    .combine("format", Object.keys(formats) as FormatName[]) // the record's own keys
    .with([{ n: 4, k: 256, m: 48, input: "normal" }]),
]);

/** The matrices of the published models, of whose gradients some blocks of columns are computed exactly. */
const published = combinations
  .combine("model", publishedModels)
  .with(({ model }) => matricesOf(model))
  .combine("format", ({ model }): readonly FormatName[] => (model === "llama-2-7b" ? ["f32", "q4_0"] : ["q4_0"]))
  .with([{ n: 3, input: "normal" }]);

interface Parameters {
  readonly n: number;
  readonly k: number;
  readonly m: number;
  readonly format: FormatName;
  readonly input: InputKind;
}

export function linearInputGradCases(): readonly OpCase[] {
  return [
    ...sizes.map((given) => opCase("linearInputGrad", parametersOf(given), (seed) => script(given, seed))),
    ...published.map(({ model, ...given }) =>
      opCase("linearInputGrad", { model, ...parametersOf(given) }, (seed) => largeScript(given, seed), { slow: true }),
    ),
  ];
}

function parametersOf({ n, k, m, format, input }: Parameters) {
  return { n, k, m, format, input };
}

function script({ n, k, m, format, input }: Parameters, seed: number): OpScript & { readonly weight: MemoryWeight } {
  const stream = random(`linearInputGrad ${n} ${k} ${m} ${format} ${input}`, seed);
  const weight = randomWeight("w", [m, k], format, stream);
  return {
    graph: graphOf(k, m),
    weights: memoryWeights([weight]),
    weight,
    actions: [{ run: { dy: activations(input, n, m, stream) }, sequences: [{ rows: n }] }],
  };
}

function largeScript(given: Parameters, seed: number): OpScript {
  const whole = script(given, seed);
  const { blockSize } = formats[given.format];
  const stream = random(`blocks of linearInputGrad ${given.k} ${given.m}`, seed);
  const blocks = samplePlaces(given.k / blockSize, stream, sampledColumns / blockSize);
  const columns = blocks.flatMap((block) => Array.from({ length: blockSize }, (_, i) => block * blockSize + i));
  const weights = memoryWeights([takeWeightBlocks(whole.weight, blocks)]);
  return { ...whole, sampled: { graph: graphOf(columns.length, given.m), weights, columns } };
}

function graphOf(k: number, m: number): Graph {
  return buildGraph((g) => [g.linearInputGrad("x", g.activations("dy", m), g.weight("w", [m, k]))]);
}
