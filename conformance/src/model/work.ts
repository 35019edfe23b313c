// How much work a comparison is: the reference takes nearly all of the time, so its multiply-adds are counted, for progress
// and to say beforehand how many tokens can be compared.

import type { Rounding } from "@polyllama/backend-reference";
import type { Backend, LlamaConfig } from "@polyllama/core";

/** Multiply-adds per second that float64 loops in JavaScript do on a slow core. */
const pace = 4e8;

/** Multiply-adds of one token. */
export interface Work {
  /** One layer evaluated exactly, twice. */
  readonly layer: number;
  /** The head evaluated exactly. */
  readonly head: number;
  /** For one backend: one layer's tolerance, and as much of the tolerance end to end. */
  noisyLayer(rounding: Rounding): number;
  noisyHead(rounding: Rounding): number;
  /** All operations of one layer, alone and with bounds. */
  opsOfLayer(rounding: Rounding): number;
  opsOfHead(rounding: Rounding): number;
}

export function workOf({ dim, heads, kvHeads, headDim, hiddenDim, vocabSize }: LlamaConfig, runs: number): Work {
  const layer = 2 * dim * (heads + kvHeads) * headDim + 3 * dim * hiddenDim;
  const head = dim * vocabSize;
  // A linear and its bound: two products, and two more where activations are rounded.
  const products = ({ int8Activations }: Rounding): number => (int8Activations === undefined ? 2 : 4);
  return {
    layer: 2 * layer,
    head,
    noisyLayer: (rounding) => 2 * runs * products(rounding) * layer,
    noisyHead: (rounding) => runs * products(rounding) * head,
    opsOfLayer: (rounding) => products(rounding) * layer,
    opsOfHead: (rounding) => products(rounding) * head,
  };
}

/** Multiply-adds of a comparison, per token. */
export function workPerToken(
  config: LlamaConfig,
  roundings: readonly Rounding[],
  runs: number,
  opLayers: number,
): number {
  const work = workOf(config, runs);
  const perBackend = roundings.map(
    (rounding) =>
      config.layers * work.noisyLayer(rounding) +
      work.noisyHead(rounding) +
      opLayers * work.opsOfLayer(rounding) +
      work.opsOfHead(rounding),
  );
  return config.layers * work.layer + work.head + perBackend.reduce((sum, part) => sum + part, 0);
}

/**
 * How many tokens can be compared in about the given time on a slow core, at least 1. For choosing a text; a comparison
 * itself takes all the tokens that it is given.
 */
export function affordableTokens(
  config: LlamaConfig,
  backends: readonly Pick<Backend, "roundings">[],
  {
    seconds,
    runs = 16,
    opLayers = 3,
  }: { readonly seconds: number; readonly runs?: number; readonly opLayers?: number },
): number {
  const roundings = backends.map((backend) => backend.roundings);
  return Math.max(1, Math.floor((seconds * pace) / workPerToken(config, roundings, runs, opLayers)));
}
