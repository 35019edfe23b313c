// llama2.c's tokenizer.bin.

import { PolyllamaError } from "../errors.ts";
import type { Tokenizer } from "./tokenizer.ts";

export function tokenizerFromLlama2c(_bytes: Uint8Array, _vocabSize: number, source: string): Tokenizer {
  throw new PolyllamaError("ERR_TOKENIZER", `${source}: not built yet.`);
}
