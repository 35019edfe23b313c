// logProbabilityGrad: the projections of logProbability. Its log-sum-exp is that of its logits, computed first.

import { buildGraph, type Graph } from "@polyllama/core";
import type { HostStep } from "@polyllama/core/device";
import { formats } from "@polyllama/formats";
import { activations } from "../inputs.ts";
import { random } from "../random.ts";
import { type MemoryWeight, memoryWeights, randomWeight, takeWeightRows } from "../weights.ts";
import { drawTargets, type Projection, projections, publishedProjections } from "./log-probability.ts";
import { type OpCase, type OpScript, opCase } from "./op-case.ts";
import { samplePlaces } from "./sample-places.ts";

/** A gradient that is asked for. */
type Operand = "x" | "weight";

/** A script, and what parts of it are made of. */
interface Whole extends OpScript {
  readonly weight: MemoryWeight;
  readonly targets: Int32Array;
}

export function logProbabilityGradCases(): readonly OpCase[] {
  return [
    ...projections.map(({ v, d, n, temperature, format }) => {
      const given = { v, d, n, temperature, format };
      return opCase("logProbabilityGrad", given, (seed) => script(given, ["x", "weight"], seed));
    }),
    // Of large ones the gradient of x is a sum over the whole vocabulary, that of the weight has rows of their own.
    ...publishedProjections
      .combine("of", ["x", "weight"] as const)
      .map(({ model, of, v, d, n, temperature, format }) => {
        const given = { v, d, n, temperature, format };
        const build = (seed: number): OpScript => (of === "x" ? script(given, [of], seed) : largeScript(given, seed));
        return opCase("logProbabilityGrad", { model, ...given, of }, build, { slow: true });
      }),
  ];
}

function script(given: Projection, of: readonly Operand[], seed: number): Whole {
  const { v, d, n, temperature, format } = given;
  const stream = random(`logProbabilityGrad ${v} ${d} ${n} ${temperature} ${format}`, seed);
  const weight = randomWeight("w", [v, d], format, stream);
  const x = activations("normal", n, d, stream);
  const values = new Float32Array(v * d);
  formats[format].dequantize(weight.bytes, values);
  const sum = logSumExps(x, values, d, temperature);
  const targets = drawTargets(n, v, stream);
  return {
    graph: graphOf(given, of),
    weights: memoryWeights([weight]),
    weight,
    targets,
    actions: [{ run: { x, targets, sum, dy: activations("normal", n, 1, stream) }, sequences: [{ rows: n }] }],
  };
}

/** The gradient of the weight, of which some rows are computed exactly, those of targets among them. */
function largeScript(given: Projection, seed: number): OpScript {
  const whole = script(given, ["weight"], seed);
  const { weight, targets } = whole;
  const stream = random(`rows of logProbabilityGrad ${given.v}`, seed);
  const rows = [...new Set([...targets.filter((target) => target >= 0), ...samplePlaces(given.v, stream)])];
  const inputs = (all: HostStep["inputs"]) => ({ ...all, targets: targets.map((target) => rows.indexOf(target)) });
  const graph = graphOf({ ...given, v: rows.length }, ["weight"]);
  return { ...whole, sampled: { graph, weights: memoryWeights([takeWeightRows(weight, rows)]), rows, inputs } };
}

function graphOf({ v, d, temperature }: Projection, of: readonly Operand[]): Graph {
  return buildGraph((g) => {
    const [rows, targets] = [g.activations("x", d), g.tokens("targets")];
    const [sums, dy] = [g.activations("sum", 1), g.activations("dy", 1)];
    const made = g.logProbabilityGrad("d", rows, targets, sums, dy, g.weight("w", [v, d]), { temperature });
    return of.map((operand) => made[operand]);
  });
}

/** x [N, D], weight [V, D] -> [N] */
function logSumExps(x: Float32Array, weight: Float32Array, d: number, temperature: number): Float32Array {
  return Float32Array.from({ length: x.length / d }, (_, n) => {
    let sum = 0;
    for (let at = 0; at < weight.length; at += d) {
      let dot = 0;
      for (let i = 0; i < d; i++) dot += x[n * d + i]! * weight[at + i]!;
      sum += Math.exp(dot / temperature);
    }
    return Math.log(sum);
  });
}
