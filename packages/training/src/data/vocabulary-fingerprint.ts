// Which vocabulary tokens are of: data that were tokenized with one are of no use to a model with another.

import type { Tokenizer } from "@polyllama/core";
import { textHash } from "./hash.ts";

/** Hash of all pieces and what they are, as 32 hexadecimal digits. */
export function vocabularyFingerprint(tokenizer: Tokenizer): string {
  const pieces = Array.from(
    { length: tokenizer.vocabSize },
    (_, id) => `${tokenizer.piece(id)}\t${tokenizer.kind(id)}`,
  );
  return textHash(pieces.join("\n"));
}
