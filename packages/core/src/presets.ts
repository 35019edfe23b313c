// The published sizes. Llama 1 (table 2 of arXiv 2302.13971) and Llama 2 (table 1 of arXiv 2307.09288) differ in
// context length, in the 70B model's grouped-query attention, and in the epsilon of RMSNorm. The Chinese models
// continue them with larger vocabularies: Chinese-LLaMA and Chinese-Alpaca (arXiv 2304.08177; Alpaca has a padding
// token more) continue Llama 1, and the second generation of both (github.com/ymcui/Chinese-LLaMA-Alpaca-2) continues
// Llama 2.

import type { LlamaConfig } from "./config.ts";

type Sizes = Pick<LlamaConfig, "dim" | "layers" | "heads" | "hiddenDim"> & Partial<LlamaConfig>;

function llama2(sizes: Sizes): LlamaConfig {
  return {
    kvHeads: sizes.heads,
    headDim: sizes.dim / sizes.heads,
    vocabSize: 32000,
    contextLength: 4096,
    normEps: 1e-5,
    ropeTheta: 10000,
    ropeScaling: { type: "none" },
    tiedEmbeddings: false,
    ...sizes,
  };
}

function llama1(sizes: Sizes): LlamaConfig {
  return llama2({ contextLength: 2048, normEps: 1e-6, ...sizes });
}

const sizes7b = { dim: 4096, layers: 32, heads: 32, hiddenDim: 11008 } as const;
const sizes13b = { dim: 5120, layers: 40, heads: 40, hiddenDim: 13824 } as const;
const sizes33b = { dim: 6656, layers: 60, heads: 52, hiddenDim: 17920 } as const;

const chineseLlama = 49953;
const chineseAlpaca = 49954;
const chineseLlama2 = 55296;

/** Names of {@link presets}. */
export type PresetName =
  | "llama-2-7b"
  | "llama-2-13b"
  | "llama-2-70b"
  | "llama-7b"
  | "llama-13b"
  | "llama-33b"
  | "llama-65b"
  | "tinyllama-1.1b"
  | "chinese-llama-7b"
  | "chinese-llama-13b"
  | "chinese-llama-33b"
  | "chinese-alpaca-7b"
  | "chinese-alpaca-13b"
  | "chinese-alpaca-33b"
  | "chinese-llama-2-7b"
  | "chinese-llama-2-13b"
  | "chinese-alpaca-2-7b"
  | "chinese-alpaca-2-13b";

/** Configurations by name. `tinyllama-1.1b` is the community's small model of the same architecture. */
export const presets: Readonly<Record<PresetName, LlamaConfig>> = {
  "llama-2-7b": llama2(sizes7b),
  "llama-2-13b": llama2(sizes13b),
  "llama-2-70b": llama2({ dim: 8192, layers: 80, heads: 64, kvHeads: 8, hiddenDim: 28672 }),
  "llama-7b": llama1(sizes7b),
  "llama-13b": llama1(sizes13b),
  "llama-33b": llama1(sizes33b),
  "llama-65b": llama1({ dim: 8192, layers: 80, heads: 64, hiddenDim: 22016, normEps: 1e-5 }),
  "tinyllama-1.1b": llama2({ dim: 2048, layers: 22, heads: 32, kvHeads: 4, hiddenDim: 5632, contextLength: 2048 }),
  "chinese-llama-7b": llama1({ ...sizes7b, vocabSize: chineseLlama }),
  "chinese-llama-13b": llama1({ ...sizes13b, vocabSize: chineseLlama }),
  "chinese-llama-33b": llama1({ ...sizes33b, vocabSize: chineseLlama }),
  "chinese-alpaca-7b": llama1({ ...sizes7b, vocabSize: chineseAlpaca }),
  "chinese-alpaca-13b": llama1({ ...sizes13b, vocabSize: chineseAlpaca }),
  "chinese-alpaca-33b": llama1({ ...sizes33b, vocabSize: chineseAlpaca }),
  "chinese-llama-2-7b": llama2({ ...sizes7b, vocabSize: chineseLlama2 }),
  "chinese-llama-2-13b": llama2({ ...sizes13b, vocabSize: chineseLlama2 }),
  "chinese-alpaca-2-7b": llama2({ ...sizes7b, vocabSize: chineseLlama2 }),
  "chinese-alpaca-2-13b": llama2({ ...sizes13b, vocabSize: chineseLlama2 }),
};

/** Whose vocabulary has this many tokens, of those that are often mistaken for each other. */
export const vocabularyOwners: ReadonlyMap<number, string> = new Map([
  [32000, "Llama 1 and 2"],
  [chineseLlama, "Chinese-LLaMA"],
  [chineseAlpaca, "Chinese-Alpaca"],
  [chineseLlama2, "Chinese-LLaMA-2 and Chinese-Alpaca-2"],
]);
