// What is done with a tokenizer that was read: short texts there and back.

import type { Tokenizer } from "@polyllama/core";

const texts = [" Hello  rabbit\n你好🦙</s> <0x41>", "", "a", "aaaa  ab ▁▁ba", "a".repeat(200)];

export function use(tokenizer: Tokenizer): void {
  for (const text of texts) tokenizer.decode(tokenizer.encode(text, { bos: true }));
  const count = Math.min(tokenizer.vocabSize, 300);
  tokenizer.decode(
    Array.from({ length: count }, (_, id) => id),
    { special: true },
  );
}
