// Rotary position embedding (Su et al., arXiv 2104.09864; Llama 2, section 2.2). Within each head the elements 2i and
// 2i + 1 form a pair that turns by position * theta^(-2i/d). This interleaved pairing is that of Meta's code and of
// GGUF; checkpoints in Hugging Face's half-split order are reordered when they are read.

import { need, type OpDef, type OpNode } from "../op.ts";
import type { RopeScaling } from "../rope-scaling.ts";
import { rowWidth } from "./rows.ts";

/** By how much each pair of a head turns. */
export interface Rotation {
  /** d, even. */
  readonly headDim: number;
  readonly theta: number;
  readonly scaling: RopeScaling;
}

/** What a node of `rope` may be told. */
export interface RopeAttributes extends Rotation {
  /** Whether it turns back, by the same angles and with the same magnitude: the gradient of a rotation. */
  readonly backwards?: true;
}

/** Rotates each head of x [N, H d] by its row's position; the shape stays. */
export const rope: OpDef<RopeAttributes, ["x"]> = {
  inputs: ["x"],
  parameters: [],
  results: ["out"],
  infer({ x }, { headDim }) {
    const width = rowWidth("rope", "x", x);
    need(headDim % 2 === 0 && width % headDim === 0, `rope of heads of ${headDim} over width ${width}`);
    return { out: x };
  },
  vjp(g, { output, headDim, theta, scaling, backwards = false }, { out }) {
    if (out === undefined) return {};
    const rotation = { headDim, theta, scaling, ...(!backwards && ({ backwards: true } as const)) };
    return { x: g.apply(rope, `${output}.gradient`, { x: out }, rotation).out };
  },
};

/** A node of `rope`, with its operands by name. */
export type RopeNode = OpNode<"rope", typeof rope>;

/**
 * Angle per position of pair i, in radians, for i from 0 to headDim / 2 - 1: `theta^(-2i / headDim)`, scaled as
 * declared. Float64; backends multiply by the position in float64, sine and cosine by {@link ropeMagnitude}, and round
 * these once.
 */
export function ropeFrequencies({ headDim, theta, scaling }: Rotation): Float64Array {
  const base = scaling.type === "dynamic" ? dynamicBase(theta, headDim, scaling) : theta;
  const frequencies = Float64Array.from({ length: headDim / 2 }, (_, i) => base ** ((-2 * i) / headDim));
  switch (scaling.type) {
    case "none":
    case "dynamic":
      return frequencies;
    case "linear":
      return frequencies.map((frequency) => frequency / scaling.factor);
    case "yarn":
      return interpolated(frequencies, scaling.factor, yarnShares(headDim, theta, scaling));
    case "llama3":
      return interpolated(frequencies, scaling.factor, llama3Shares(frequencies, scaling));
  }
}

/** What sine and cosine are multiplied by, so that q and k both grow by it: 1 except under YaRN (its section 3.4). */
export function ropeMagnitude({ scaling }: Pick<Rotation, "scaling">): number {
  return scaling.type === "yarn" ? scaling.magnitude : 1;
}

type Scaling<Type extends RopeScaling["type"]> = Extract<RopeScaling, { type: Type }>;

/**
 * NTK-aware scaling, arXiv 2309.00071, section 3.1, with s = factor * length / original - (factor - 1), which is 1 at
 * the original length: the slowest pair is interpolated by s, the fastest not at all.
 */
function dynamicBase(theta: number, headDim: number, scaling: Scaling<"dynamic">): number {
  const { factor, originalContextLength: original } = scaling;
  const length = Math.max(scaling.contextLength, original);
  return theta * ((factor * length) / original - (factor - 1)) ** (headDim / (headDim - 2));
}

/** Each frequency divided by the factor where its share of interpolation is 1, kept where it is 0, mixed in between. */
function interpolated(frequencies: Float64Array, factor: number, shares: Float64Array): Float64Array {
  return frequencies.map((frequency, i) => (frequency / factor) * shares[i]! + frequency * (1 - shares[i]!));
}

/** YaRN's ramp over the pairs, arXiv 2309.00071, section 3.2; its bounds are whole pairs, as in the authors' code. */
function yarnShares(headDim: number, theta: number, scaling: Scaling<"yarn">): Float64Array {
  // The pair that turns this often within the original context.
  const pairOf = (turns: number): number =>
    (headDim * Math.log(scaling.originalContextLength / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const low = Math.max(Math.floor(pairOf(scaling.betaFast)), 0);
  const high = Math.min(Math.ceil(pairOf(scaling.betaSlow)), headDim - 1);
  const width = Math.max(high - low, 0.001);
  return Float64Array.from({ length: headDim / 2 }, (_, i) => clamp((i - low) / width));
}

/** Interpolated are wavelengths above original / low, kept those below original / high, by turns in between. */
function llama3Shares(frequencies: Float64Array, scaling: Scaling<"llama3">): Float64Array {
  const { originalContextLength, lowFrequencyFactor: low, highFrequencyFactor: high } = scaling;
  return frequencies.map((frequency) => {
    const turns = (originalContextLength * frequency) / (2 * Math.PI);
    return 1 - clamp((turns - low) / (high - low));
  });
}

function clamp(share: number): number {
  return Math.min(1, Math.max(0, share));
}
