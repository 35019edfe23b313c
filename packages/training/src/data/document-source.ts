// Tokenized documents that can be read in any order: what training draws from, be it a file or memory.

import { OptionError } from "@polyllama/core";
import { checkExample, type Example } from "../example.ts";

/** Tokens of a document. */
export interface TokenDocument {
  /** Tokens [n], usually from BOS to EOS. */
  readonly ids: ArrayLike<number>;
  /** What each weighs in the loss [n], as in an `Example`; default: all 1. */
  readonly counts?: ArrayLike<number>;
}

/** Documents by number. */
export interface DocumentSource {
  readonly documents: number;
  /** Of all documents. */
  readonly tokens: number;
  /** @throws {PolyllamaError} `ERR_OPTION` for a number outside [0, documents); what reading it throws. */
  read(document: number): TokenDocument | Promise<TokenDocument>;
}

/** @throws {OptionError} for a document that is not there. */
export function checkDocument(document: number, documents: number, of: string): void {
  if (Number.isInteger(document) && document >= 0 && document < documents) return;
  const expected = `an integer from 0 to ${documents - 1}`;
  const message = `${of} has no document ${document}; ask for ${expected}.`;
  throw new OptionError(message, { option: "document", expected, value: document });
}

/** Examples in memory, such as dialogues, as a source. @throws {OptionError} for an example with nothing to predict. */
export function exampleSource(examples: readonly Example[]): DocumentSource {
  for (const [index, example] of examples.entries()) checkExample(example, index);
  return {
    documents: examples.length,
    tokens: examples.reduce((sum, { ids }) => sum + ids.length, 0),
    read(document) {
      checkDocument(document, examples.length, "The list of examples");
      return examples[document]!; // checked above
    },
  };
}
