// Bytes and operations of a model's steps, which speeds are shares of.

import { type CacheFormat, columnCount, formatBytes, type LlamaConfig, rowCount } from "@polyllama/core";
import type { Checkpoint } from "polyllama";

/** Bytes of one position's keys and values. */
export function cacheBytes({ layers, kvHeads, headDim }: LlamaConfig, format: CacheFormat): number {
  return 2 * layers * kvHeads * headDim * (format === "f32" ? 4 : 2);
}

/** Of the embedding only a row is read for each token. */
export function embeddingBytes({ config, weights }: Checkpoint): number {
  const info = weights.get("tok_embeddings.weight");
  if (info === undefined || config.tiedEmbeddings) return 0;
  return formatBytes(info.format, rowCount(info) * columnCount(info));
}

/** Operations of reading a prompt: all matrix products but the output's, and the attention's lower triangle. */
export function prefillWork({ dim, layers, heads, kvHeads, headDim, hiddenDim }: LlamaConfig, n: number): number {
  const weights = 2 * dim * (heads + kvHeads) * headDim + 3 * dim * hiddenDim;
  return layers * (2 * weights * n + 2 * n * n * heads * headDim);
}

/** Bytes of the weights as stored. */
export function weightBytes({ weights }: Checkpoint): number {
  return [...weights.values()].reduce(
    (sum, info) => sum + formatBytes(info.format, rowCount(info) * columnCount(info)),
    0,
  );
}
