// Tokenized documents that can be read in any order: what training draws from, be it a file or memory.

/** Documents of tokens, by number. */
export interface TokenSource {
  readonly documents: number;
  /** Of all documents. */
  readonly tokens: number;
  /** Tokens [n] of a document, n >= 1. @throws {PolyllamaError} `ERR_OPTION` for a number outside [0, documents). */
  read(document: number): Promise<ArrayLike<number>> | ArrayLike<number>;
}
