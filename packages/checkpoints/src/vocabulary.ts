// A tokenizer and an embedding table that differ in size give text that the model never saw, or ids it does not have, so
// any difference is refused. (Tables that were padded past the vocabulary have padding tokens in their tokenizer too.)

import { CheckpointError, type LlamaConfig, type Tokenizer } from "@polyllama/core";

/** @throws {CheckpointError} naming both numbers. */
export function checkVocabulary(parts: {
  readonly name: string;
  readonly config: LlamaConfig;
  readonly tokenizer: Tokenizer | undefined;
}): void {
  const tokens = parts.tokenizer?.vocabSize;
  const rows = parts.config.vocabSize;
  if (tokens === undefined || tokens === rows) return;
  throw new CheckpointError(
    { file: parts.name },
    `the tokenizer has ${tokens} tokens, but the embedding table ${rows} rows`,
    "Give the tokenizer that belongs to these weights, with the option `tokenizer`.",
  );
}
