// adamw: the first step and later ones, with and without decay and clipping.

import { adamWSettings, buildGraph, type Graph } from "@polyllama/core";
import type { HostStep } from "@polyllama/core/device";
import { combinations } from "../combine.ts";
import { activations } from "../inputs.ts";
import { random } from "../random.ts";
import { type MemoryWeight, memoryWeights, randomWeight, takeRows, takeWeightRows } from "../weights.ts";
import { type OpCase, type OpScript, opCase } from "./op-case.ts";
import { matricesOf, publishedModels } from "./published.ts";
import { samplePlaces } from "./sample-places.ts";

const steps = combinations
  .combine("step", [1, 2, 1000])
  .combine("weightDecay", [0, 0.1])
  .combine("squares", [0.25, 9])
  .with([
    { m: 1, k: 1 },
    { m: 7, k: 33 },
  ]);

/** Square matrices and keys of the published models; the larger ones would take too much memory in a test. */
const published = combinations
  .combine("model", publishedModels)
  .with(({ model }) => matricesOf(model))
  .filter(({ k, m }) => m <= k && k <= 8192)
  .with([{ step: 2, weightDecay: 0.1, squares: 9 }]);

interface Parameters {
  readonly step: number;
  readonly weightDecay: number;
  readonly squares: number;
  readonly m: number;
  readonly k: number;
}

export function adamwCases(): readonly OpCase[] {
  return [
    ...steps.map(({ step, weightDecay, squares, m, k }) => {
      const given = { step, weightDecay, squares, m, k };
      return opCase("adamw", given, (seed) => script(given, seed));
    }),
    ...published.map(({ model, step, weightDecay, squares, m, k }) => {
      const given = { step, weightDecay, squares, m, k };
      return opCase("adamw", { model, ...given }, (seed) => largeScript(given, seed), { slow: true });
    }),
  ];
}

function script(given: Parameters, seed: number): OpScript & { readonly state: readonly MemoryWeight[] } {
  const { step, weightDecay, squares, m, k } = given;
  const stream = random(`adamw ${step} ${weightDecay} ${squares} ${m} ${k}`, seed);
  const [weight, first, drawn] = ["w", "m", "v"].map((name) => randomWeight(name, [m, k], "f32", stream));
  const second = new Uint8Array(new Float32Array(drawn!.bytes.buffer).map(Math.abs).buffer); // three weights
  const state = [weight!, first!, { ...drawn!, bytes: second }]; // likewise
  return {
    graph: graphOf(m, k, weightDecay),
    weights: memoryWeights(state),
    state,
    actions: [
      {
        run: {
          gradient: activations("normal", m, k, stream),
          squares: Float32Array.of(squares),
          settings: Float32Array.from(adamWSettings(1e-3, step)),
        },
        sequences: [],
      },
    ],
  };
}

/** Elements do not know of each other: some rows are computed exactly. */
function largeScript(given: Parameters, seed: number): OpScript {
  const { state, ...whole } = script(given, seed);
  const { m, k, weightDecay } = given;
  const rows = samplePlaces(m, random(`rows of adamw ${m} ${k}`, seed), 32);
  const inputs = ({ gradient, ...rest }: HostStep["inputs"]) => ({ ...rest, gradient: takeRows(gradient!, k, rows) }); // is given
  const weights = memoryWeights(state.map((weight) => takeWeightRows(weight, rows)));
  return { ...whole, sampled: { graph: graphOf(rows.length, k, weightDecay), weights, rows, inputs } };
}

function graphOf(m: number, k: number, weightDecay: number): Graph {
  const shape = [m, k];
  return buildGraph((g) => {
    const inputs = [g.fixed("gradient", shape), g.fixed("squares", [1]), g.fixed("settings", [3])] as const;
    const state = [g.weight("w", shape), g.weight("m", shape), g.weight("v", shape)] as const;
    const made = g.adamw("y", ...inputs, ...state, { beta1: 0.9, beta2: 0.95, eps: 1e-5, weightDecay, maxNorm: 1 });
    return [made.weight, made.firstMoment, made.secondMoment];
  });
}
