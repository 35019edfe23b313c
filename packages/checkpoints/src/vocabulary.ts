// A tokenizer and an embedding table that differ in size give text that the model never saw, or ids it does not have, so
// any difference is refused. (Tables that were padded past the vocabulary have padding tokens in their tokenizer too.)

import { CheckpointError, type LlamaConfig, type Tokenizer, vocabularyOwners } from "@polyllama/core";

/** @throws {CheckpointError} naming both numbers, and what is known by them. */
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
    remedy(tokens, rows),
  );
}

function remedy(tokens: number, rows: number): string {
  const [owner, other] = [vocabularyOwners.get(rows), vocabularyOwners.get(tokens)];
  const weights = owner === undefined ? "" : `Weights of ${rows} rows are those of ${owner}. `;
  const tokenizer = other === undefined ? "" : `A tokenizer of ${tokens} tokens is that of ${other}. `;
  const wanted = owner === undefined ? "that belongs to these weights" : `of ${owner}`;
  return `${weights}${tokenizer}Give the tokenizer ${wanted}, with the option \`tokenizer\`.`;
}
