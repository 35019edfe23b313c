// linearWeightGrad: from one row to many, summed in any order.

import { buildGraph, type Graph } from "@polyllama/core";
import type { HostStep } from "@polyllama/core/device";
import { combinations } from "../combine.ts";
import { activations, type InputKind, inputKinds } from "../inputs.ts";
import { random } from "../random.ts";
import { memoryWeights, takeColumns } from "../weights.ts";
import { type OpCase, type OpScript, opCase } from "./op-case.ts";
import { matricesOf, publishedModels } from "./published.ts";
import { samplePlaces } from "./sample-places.ts";

const sizes = combinations.with([
  ...combinations
    .combine("n", [1, 2, 33, 515])
    .with([
      { k: 32, m: 64 },
      { k: 33, m: 31 },
      { k: 172, m: 64 },
    ])
    .with([{ input: "normal" }]),
  ...combinations.combine("input", inputKinds).with([{ n: 7, k: 64, m: 96 }]),
]);

/** Those of the matrices of the published models, of which some rows are computed exactly. */
const published = combinations
  .combine("model", publishedModels)
  .with(({ model }) => matricesOf(model))
  .with([{ n: 5, input: "normal" }]);

interface Parameters {
  readonly n: number;
  readonly k: number;
  readonly m: number;
  readonly input: InputKind;
}

export function linearWeightGradCases(): readonly OpCase[] {
  return [
    ...sizes.map(({ n, k, m, input }) =>
      opCase("linearWeightGrad", { n, k, m, input }, (seed) => script({ n, k, m, input }, seed)),
    ),
    ...published.map(({ model, n, k, m, input }) =>
      opCase("linearWeightGrad", { model, n, k, m, input }, (seed) => largeScript({ n, k, m, input }, seed), {
        slow: true,
      }),
    ),
  ];
}

function script({ n, k, m, input }: Parameters, seed: number): OpScript {
  const stream = random(`linearWeightGrad ${n} ${k} ${m} ${input}`, seed);
  const run = { x: activations(input, n, k, stream), dy: activations("normal", n, m, stream) };
  return { graph: graphOf(k, m), weights: memoryWeights([]), actions: [{ run, sequences: [{ rows: n }] }] };
}

function largeScript(given: Parameters, seed: number): OpScript {
  const { k, m } = given;
  const rows = samplePlaces(m, random(`rows of linearWeightGrad ${k} ${m}`, seed));
  const inputs = ({ x, dy }: HostStep["inputs"]) => ({ x: x!, dy: takeColumns(dy!, m, rows) }); // both are given
  return {
    ...script(given, seed),
    sampled: { graph: graphOf(k, rows.length), weights: memoryWeights([]), rows, inputs },
  };
}

function graphOf(k: number, m: number): Graph {
  return buildGraph((g) => [g.linearWeightGrad("w", g.activations("x", k), g.activations("dy", m))]);
}
