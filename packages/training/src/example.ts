// What a model learns from, before it is packed: the tokens of one text or dialogue, and which of them count.

import { OptionError, type Tokenizer } from "@polyllama/core";

/** One text or dialogue. */
export interface Example {
  /** Tokens [n], two or more, usually from BOS to EOS. */
  readonly ids: readonly number[];
  /**
   * What each token weighs in the loss as the one to be predicted [n], 0 or more; the first one is never predicted, so
   * that its entry has no effect.
   */
  readonly counts: readonly number[];
}

/**
 * A document for pre-training: BOS, its text, EOS; every token counts.
 *
 * @throws {PolyllamaError} `ERR_TOKENIZER` where the vocabulary has no BOS, no EOS, or no tokens for the text.
 */
export function encodeDocument(tokenizer: Tokenizer, text: string): Example {
  const ids = tokenizer.encode(text, { bos: true, eos: true, special: false });
  return { ids, counts: ids.map(() => 1) };
}

/** @throws {OptionError} for an example that has nothing to predict, or other counts than tokens. */
export function checkExample({ ids, counts }: Example, index: number): void {
  if (ids.length < 2) {
    const expected = "two tokens or more";
    throw new OptionError(
      `Example ${index} has ${ids.length} tokens; it takes ${expected}, of which one is predicted.`,
      {
        option: `examples[${index}].ids`,
        expected,
        value: ids,
      },
    );
  }
  if (counts.length === ids.length && counts.every((count) => count >= 0 && Number.isFinite(count))) return;
  const expected = `${ids.length} numbers, each 0 or more`;
  throw new OptionError(`Example ${index} has ${ids.length} tokens; its counts must be ${expected}.`, {
    option: `examples[${index}].counts`,
    expected,
    value: counts,
  });
}
