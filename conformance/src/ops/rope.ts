// rope: head widths, bases, scaling, and positions to the end of the context and beyond.

import { buildGraph, type RopeAttributes, type RopeScaling } from "@polyllama/core";
import { combinations } from "../combine.ts";
import { activations, type InputKind } from "../inputs.ts";
import { random } from "../random.ts";
import type { Run } from "../script.ts";
import { memoryWeights } from "../weights.ts";
import { type OpCase, opCase } from "./op-case.ts";

interface RopeParameters {
  readonly d: number;
  readonly heads: number;
  readonly n: number;
  readonly position: number;
  readonly theta: number;
  readonly factor: number;
  readonly scaling?: Exclude<RopeScaling["type"], "none">;
  readonly input: InputKind;
}

const usual: RopeParameters = { d: 128, heads: 2, n: 3, position: 0, theta: 10000, factor: 1, input: "normal" };

const rotations: readonly Partial<RopeParameters>[] = [
  ...combinations.combine("d", [2, 4, 6, 8, 16, 48, 64, 80, 128]).with([{ position: 5 }]),
  ...combinations.combine("position", [0, 1, 63, 1000, 4095, 4096, 16383]),
  ...combinations.combine("heads", [1, 8, 32, 40, 64]).with([{ n: 1, position: 77 }]),
  { theta: 500000, position: 900 },
  { theta: 100, d: 16, position: 30 },
  { factor: 2, position: 100 },
  { factor: 4, position: 8000, n: 17 },
  ...combinations.combine("scaling", ["dynamic", "yarn", "llama3"]).with([
    { factor: 4, position: 100 },
    { factor: 16, position: 16000, n: 17 },
    { factor: 8, d: 64, position: 30000 },
    { factor: 8, d: 10, position: 5 },
  ]),
  { scaling: "yarn", factor: 16, n: 515, d: 16 },
  { input: "large", position: 12 },
  { input: "tiny", position: 12 },
  { input: "one-hot", position: 4000 },
  { input: "zeros" },
  // More rows than backends compute at once.
  { d: 16, n: 600 },
  { d: 8, n: 515, position: 3 },
];

export function ropeCases(): readonly OpCase[] {
  return [...rotations.map((change) => rowsCase({ ...usual, ...change })), ...[8, 16, 128].map(chunksCase)];
}

/** The same rotations turned back, as gradients are. */
export function ropeBackwardsCases(): readonly OpCase[] {
  return rotations.map((change) => rowsCase({ ...usual, ...change }, true));
}

function rowsCase(given: RopeParameters, backwards = false): OpCase {
  const { d, heads, n, position, input } = given;
  return opCase("rope", { ...given, ...(backwards && { direction: "backwards" }) }, (seed) => ({
    graph: ropeGraph(given, backwards),
    weights: memoryWeights([]),
    actions: [
      {
        run: { x: activations(input, n, heads * d, random(`rope ${JSON.stringify(given)}`, seed)) },
        sequences: [{ rows: n, position }],
      },
    ],
  }));
}

/** Positions that follow from a cache: chunk after chunk, decoding, a rewind, and far enough for tables to grow. */
function chunksCase(d: number): OpCase {
  const heads = 2;
  return opCase("rope", { d, heads, scenario: "chunks" }, (seed) => {
    const stream = random(`rope chunks ${d}`, seed);
    const run = (rows: number): Run => ({
      run: { x: activations("normal", rows, heads * d, stream) },
      sequences: [{ rows, cache: 0 }],
    });
    return {
      graph: ropeGraph({ d, heads, theta: 10000, factor: 1 }),
      weights: memoryWeights([]),
      capacity: 400,
      actions: [run(1), run(7), run(1), run(150), run(1), { truncate: 100, cache: 0 }, run(30), run(200)],
    };
  });
}

function ropeGraph(
  {
    d,
    heads,
    theta,
    factor,
    scaling = factor === 1 ? undefined : "linear",
  }: Pick<RopeParameters, "d" | "heads" | "theta" | "factor" | "scaling">,
  backwards = false,
) {
  const turn = { headDim: d, theta, scaling: scaling === undefined ? none : scalings[scaling](factor) };
  const rotation: RopeAttributes = { ...turn, ...(backwards && { backwards }) };
  return buildGraph((g) => [g.rope("y", g.activations("x", heads * d), rotation)]);
}

const none: RopeScaling = { type: "none" };
const originalContextLength = 4096;

const scalings: Readonly<Record<Exclude<RopeScaling["type"], "none">, (factor: number) => RopeScaling>> = {
  linear: (factor) => ({ type: "linear", factor }),
  dynamic: (factor) => ({
    type: "dynamic",
    factor,
    originalContextLength,
    contextLength: originalContextLength * factor,
  }),
  yarn: (factor) => ({
    type: "yarn",
    factor,
    originalContextLength,
    betaFast: 32,
    betaSlow: 1,
    magnitude: 0.1 * Math.log(factor) + 1,
  }),
  llama3: (factor) => ({
    type: "llama3",
    factor,
    originalContextLength,
    lowFrequencyFactor: 1,
    highFrequencyFactor: 4,
  }),
};
