// The tokenizer that a command is given.

import { readTokenizer, type Tokenizer } from "polyllama";

export const tokenizerHelp = "tokenizer.model, tokenizer.json, or a GGUF file";

export async function load(path: string, signal: AbortSignal): Promise<Tokenizer> {
  return (await readTokenizer(path, 32000, signal)).tokenizer;
}
