// SentencePiece's tokenizer.model.

import { PolyllamaError } from "../errors.ts";
import type { Tokenizer } from "./tokenizer.ts";

export function tokenizerFromSentencePiece(_bytes: Uint8Array, source: string): Tokenizer {
  throw new PolyllamaError("ERR_TOKENIZER", `${source}: not built yet.`);
}
