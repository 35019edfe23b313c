// The models of the Llama suite, small and in memory. `small` has random weights, so that every earlier token tells in
// the logits; `told` says known texts; the large ones have the vocabulary of a real model, nearly flat logits with many
// exact ties, and wholly flat ones.

import type { Checkpoint } from "@polyllama/checkpoints";
import { columnCount, type LlamaConfig, llamaGraph, rowCount, type Tokenizer, textSetupOf } from "@polyllama/core";
import { type Random, random } from "../random.ts";
import { narrowConfig } from "../small-config.ts";
import { memoryWeights } from "../weights.ts";
import { chains } from "./told.ts";
import { token, tokenizerOf, type VocabularyEntry, vocabularyOf } from "./vocabulary.ts";

export type ModelName = "small" | "told" | "large" | "flat";

/** A checkpoint in memory, with the vocabulary that definitions read. */
export interface Model {
  readonly checkpoint: Checkpoint & { readonly tokenizer: Tokenizer };
  readonly vocabulary: readonly VocabularyEntry[];
  /** Ids of end tokens. */
  readonly ends: readonly number[];
}

const shape: Omit<LlamaConfig, "vocabSize"> = { ...narrowConfig, layers: 2, hiddenDim: 48, contextLength: 1280 };

/** Value of a weight's element, by name, row and column. */
type Fill = (name: string, row: number, column: number, columns: number) => number;

const words = ["▁", "a", "b", "c", "e", "ab", "bc", "▁a", "▁the", "é", "春", "\n", "[", "]", "he", "▁b"];
/** What `small` says mostly: its words, characters in parts, what shows and what ends. */
const likely: ReadonlySet<number> = new Set([
  ...[0xc3, 0xa9, 0xe6, 0x98, 0xa5].map((byte) => token.firstByte + byte),
  ...words.map((_, i) => token.shown + 1 + i),
  ...[token.shown, token.unknown],
]);
const ending: ReadonlySet<number> = new Set([token.eos, token.end, token.stop]);

const largeVocabulary = 32_000;

export function buildModel(name: ModelName): Model {
  const stream = random(`llama ${name}`, 1);
  switch (name) {
    case "small": {
      const size = (id: number): number => (likely.has(id) ? 3 : ending.has(id) ? 1.8 : 0.3);
      return assemble(name, shape, vocabularyOf(words), randomly(stream, size));
    }
    case "told":
      return told(stream);
    case "large": {
      // Every fourth token has the logit 0, and tokens that are 64 apart have equal rows.
      const row = Array.from({ length: 64 }, (_, i) => (i % 4 === 3 ? 0 : 0.4));
      const values = Float32Array.from({ length: 64 * shape.dim }, () => stream.normal());
      const fill = randomly(stream, () => 0);
      return assemble(name, { ...shape, layers: 1, contextLength: 64 }, large(), (weight, id, column, columns) =>
        weight === "output.weight"
          ? (row[id % 64]! * values[(id % 64) * columns + column]!) / Math.sqrt(columns) // within both
          : fill(weight, id, column, columns),
      );
    }
    case "flat":
      return assemble(
        name,
        { ...shape, layers: 1, contextLength: 64 },
        large(),
        randomly(stream, () => 0),
      );
  }
}

function large(): readonly VocabularyEntry[] {
  const few = vocabularyOf([]).length;
  return vocabularyOf(Array.from({ length: largeVocabulary - few }, (_, i) => `▁w${i}`));
}

/** Random weights; `size` is the deviation of a token's logit. */
function randomly(stream: Random, size: (id: number) => number): Fill {
  return (name, row, _, columns) => {
    if (name.endsWith("norm.weight")) return 1;
    if (name === "tok_embeddings.weight") return stream.normal();
    return ((name === "output.weight" ? size(row) : 1) * stream.normal()) / Math.sqrt(columns);
  };
}

/** A model in which the last token alone decides what follows: its layers add nothing. */
function told(stream: Random): Model {
  const vocabulary = vocabularyOf(chains.pieces);
  const dim = 64;
  const embedding = Array.from({ length: vocabulary.length * dim }, () => (stream.uniform() < 0.5 ? -1 : 1));
  const before = new Map<number, number[]>();
  for (const [id, next] of chains.next) before.set(next, [...(before.get(next) ?? []), id]);
  const sizes = { ...shape, dim, heads: 4, headDim: 16, layers: 1, contextLength: 64 };
  return assemble("told", sizes, vocabulary, (name, row, column) => {
    if (name.endsWith("norm.weight")) return 1;
    if (name === "tok_embeddings.weight") return embedding[row * dim + column]!; // one of each row
    if (name !== "output.weight") return 0;
    return (before.get(row) ?? []).reduce((sum, id) => sum + embedding[id * dim + column]!, 0) / 2;
  });
}

function assemble(
  name: string,
  sizes: Omit<LlamaConfig, "vocabSize">,
  vocabulary: readonly VocabularyEntry[],
  fill: Fill,
): Model {
  const config: LlamaConfig = { ...sizes, vocabSize: vocabulary.length };
  const weights = llamaGraph(config).weights.map((weight) => {
    const info = { ...weight, format: "f32" } as const;
    const [rows, columns] = [rowCount(info), columnCount(info)];
    const values = new Float32Array(rows * columns);
    for (let i = 0; i < values.length; i++) {
      values[i] = fill(weight.name, Math.floor(i / columns), i % columns, columns);
    }
    return { ...info, bytes: new Uint8Array(values.buffer) };
  });
  const tokenizer = tokenizerOf(vocabulary);
  const ends = [token.eos, token.end];
  return {
    vocabulary,
    ends,
    checkpoint: {
      ...memoryWeights(weights),
      kind: "synthetic",
      name: `the Llama suite's model "${name}"`,
      config,
      tokenizer,
      text: { ...textSetupOf(tokenizer), ends: ends.map((id) => ({ id, from: ["the Llama suite"] })) },
      notices: [],
      stored: [],
      metadata: new Map(),
      async [Symbol.asyncDispose]() {},
    },
  };
}
