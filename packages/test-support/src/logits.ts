// A model whose logits are known in advance, for samplers: a table whose row t holds the logits that follow token t, so
// that a generation walks through many different rows. And the ways of sampling that devices are compared with the host
// in.

import {
  buildGraph,
  cutWeight,
  type Graph,
  resolveRanges,
  type SamplingOptions,
  type WeightInfo,
  type WeightSource,
} from "@polyllama/core";
import { uniform } from "./random.ts";

/** Logits of many kinds: flat, steep, tied, with distances that overflow and both zeros. [V, V] */
export function logitTable(vocabSize: number): Float32Array<ArrayBuffer> {
  const next = uniform(12345);
  const table = new Float32Array(vocabSize * vocabSize);
  for (let row = 0; row < vocabSize; row++) {
    const spread = 10 ** (next() * 3 - 1);
    for (let i = 0; i < vocabSize; i++) {
      let logit = spread * (next() + next() + next() - 1.5);
      if (row % 4 === 1) logit = Math.round(logit);
      if (row % 7 === 2 && i % 3 === 0) logit = -3e38;
      if (row % 11 === 3 && i % 2 === 0) logit = i % 4 === 0 ? 0 : -0;
      table[row * vocabSize + i] = logit;
    }
  }
  return table;
}

/** The model of such a table. */
export function tableModel(
  table: Float32Array<ArrayBuffer>,
  vocabSize: number,
): { readonly graph: Graph; readonly source: WeightSource } {
  const shape = [vocabSize, vocabSize] as const;
  const info: WeightInfo = { name: "table", shape, format: "f32" };
  return {
    graph: buildGraph((g) => [g.embedding("logits", g.tokens("tokens"), g.weight("table", shape))]),
    source: {
      name: "table",
      weights: new Map([["table", info]]),
      async read(_, ranges) {
        return cutWeight(new Uint8Array(table.buffer), resolveRanges(info, ranges));
      },
      fingerprint: async () => "",
    },
  };
}

export const samplings: readonly SamplingOptions[] = [
  { temperature: 0 },
  { temperature: 0.8, topP: 0.95 },
  { temperature: 1, topP: 1 },
  { temperature: 1, topP: 0.3 },
  { temperature: 1.7, topK: 40, topP: 1 },
  { temperature: 1, topK: 1, topP: 1 },
  { temperature: 0.5, topK: 17, topP: 0.9, minP: 0.02 },
  { temperature: 2, topP: 1, minP: 0.3 },
  { temperature: Math.LOG2E, topP: 1, minP: 0.25 }, // weights are powers of two, some just as many as are asked for
  { temperature: 1, topP: 1, minP: 1 },
  { temperature: 1e-30, topP: 0.999999 },
  { temperature: 1000, topP: 0 },
  { temperature: 1, topP: 1 - 2 ** -53 },
];
