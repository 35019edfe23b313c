// A training run from one seed: the loss of each step of a small model on text that a generator makes, whose tokens mostly
// follow from the one before. How far two correct backends may be apart is measured, as for whole models: the reference
// trains several times, every operation's output moved at random within its bound.

import type { Rounding } from "@polyllama/backend-reference";
import {
  type AdamWOptions,
  type LlamaConfig,
  llamaGraph,
  type RoundingProfile,
  type Tensor,
  withLogProbabilities,
} from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { type ConformanceCase, makeCase } from "../case.ts";
import { combinations } from "../combine.ts";
import { fewPerturbedRuns, perturbedRuns } from "../comparison/constants.ts";
import { at } from "../comparison/measure.ts";
import { estimateTolerances, measureTolerance, type Tolerance } from "../comparison/tolerance.ts";
import { type Random, random } from "../random.ts";
import { smallConfig } from "../small-config.ts";
import { memoryWeights, randomWeights } from "../weights.ts";
import type { Part } from "./models.ts";
import { trainingLosses } from "./optimize.ts";
import { untrained } from "./untrained.ts";

/** Steps of the whole run; shorter ones are its beginning. */
export const lossSteps = 200;

const config: LlamaConfig = {
  ...smallConfig,
  dim: 16,
  headDim: 4,
  hiddenDim: 24,
  vocabSize: 29,
  tiedEmbeddings: true,
};

/** Up for ten steps, then down to a tenth at the end of the whole run. */
function rate(step: number): number {
  return 1e-2 * Math.min(step / 10, 1 - (0.9 * Math.max(0, step - 10)) / (lossSteps - 10));
}

/** The losses of the first steps of the run, [steps, 1]. @param optimizer Default: the paper's. */
export async function lossCurve(
  device: Device,
  seed: number,
  steps: number,
  optimizer: AdamWOptions = {},
): Promise<Tensor> {
  const stream = random("training run", seed);
  const graph = withLogProbabilities(llamaGraph(config));
  const weights = memoryWeights(randomWeights(graph, "f32", stream));
  const run = { graph, weights, batches: batches(stream, steps), rate, optimizer };
  const losses = await trainingLosses(device, run);
  return { shape: [losses.length, 1], data: Float64Array.from(losses) };
}

/** The exact losses, and how far from them those of a backend that rounds as declared may be. */
async function lossTolerance(
  rounding: Rounding,
  { seed, steps, runs }: { readonly seed: number; readonly steps: number; readonly runs: number },
): Promise<Tolerance> {
  const seeds = Array.from({ length: runs }, (_, i) => seed * 1000 + i);
  const run = async (device: Device): Promise<readonly Tensor[]> => [await lossCurve(device, seed, steps)];
  const [tolerance] = await estimateTolerances(run, rounding, seeds);
  return tolerance!; // one value was asked for
}

/** A golden run, as it is kept. */
export interface GoldenLosses {
  /** What the allowed differences follow from. */
  readonly roundings: Omit<RoundingProfile, "sources">;
  /** By step: the exact loss, and how far from it one may be. */
  readonly losses: readonly (readonly [exact: number, allowed: number])[];
}

/** Digits that are kept: what is computed in float64 has them on every machine. */
const digits = 9;

/** A golden run for a backend that rounds as declared. */
export async function goldenLosses({ sources: _, ...roundings }: RoundingProfile): Promise<GoldenLosses> {
  const { exact, perRow } = await lossTolerance(roundings, { seed: 1, steps: lossSteps, runs: perturbedRuns });
  const rounded = (value: number): number => Number(value.toPrecision(digits));
  return { roundings, losses: [...exact.data].map((loss, i) => [rounded(loss), rounded(perRow[i]!)]) }; // one for each
}

/** The beginning of a golden run. */
export function goldenTolerance({ losses }: GoldenLosses, steps: number): Tolerance {
  const first = losses.slice(0, steps);
  return {
    exact: { shape: [first.length, 1], data: Float64Array.from(first, ([exact]) => exact) },
    perRow: Float64Array.from(first, ([, allowed]) => allowed),
  };
}

export function lossCases(): readonly ConformanceCase[] {
  return combinations.combine("steps", [20, lossSteps]).map(({ steps }) =>
    makeCase(
      "training",
      "losses",
      { steps },
      async (device, seed) => {
        if (!device.features.updates) return untrained;
        const tolerance = await lossTolerance(device.roundings, { seed, steps, runs: fewPerturbedRuns });
        return at("losses", measureTolerance(await lossCurve(device, seed, steps), tolerance));
      },
      { training: true, slow: steps === lossSteps },
    ),
  );
}

/** Batches of two parts, one of them of several sequences. */
function* batches(stream: Random, steps: number): Generator<readonly Part[], void, undefined> {
  const next = Array.from({ length: config.vocabSize }, () => stream.integer(config.vocabSize));
  for (let step = 0; step < steps; step++) {
    const parts = [[9, 6], [10]].map((rows) => rows.map((count) => text(count + 1, next, stream)));
    const total = parts.flat().reduce((sum, ids) => sum + ids.length - 1, 0);
    yield parts.map((texts): Part => {
      const [tokens, targets] = [texts.flatMap((ids) => ids.slice(0, -1)), texts.flatMap((ids) => ids.slice(1))];
      return {
        step: {
          inputs: { tokens: Int32Array.from(tokens), targets: Int32Array.from(targets) },
          sequences: texts.map((ids) => ({ rows: ids.length - 1 })),
        },
        cotangent: new Float64Array(tokens.length).fill(-1 / total),
      };
    });
  }
}

/** So many tokens, four of five of which are what follows the one before. */
function text(length: number, next: readonly number[], stream: Random): readonly number[] {
  const ids = [stream.integer(config.vocabSize)];
  while (ids.length < length) {
    ids.push(stream.integer(5) === 0 ? stream.integer(config.vocabSize) : next[ids.at(-1)!]!); // of every token
  }
  return ids;
}
