// A text as a prompt: with BOS and EOS as the checkpoint has them.

import type { Tokenizer } from "./tokenizer.ts";

/**
 * Token ids of a text to be continued. "" is BOS alone, whether or not texts begin with it; without a BOS it has no
 * tokens.
 */
export function encodePrompt(tokenizer: Tokenizer, text: string): number[] {
  if (text === "") return tokenizer.bos === undefined ? [] : [tokenizer.bos];
  return tokenizer.encode(text);
}
