// Which tokens a text has, counted as they come: penalties need not read the whole text again for every token.

/** Tokens of a text by how often they were generated; those that were only given count zero. */
export class TokenHistory {
  readonly #generated = new Map<number, number>();
  #length: number;

  /** @param given Tokens of the prompt. */
  constructor(given: Iterable<number>) {
    this.#length = 0;
    for (const id of given) {
      this.#generated.set(id, 0);
      this.#length++;
    }
  }

  /** Tokens so far, given ones included. */
  get length(): number {
    return this.#length;
  }

  /** How often each token of the text was generated. */
  get generated(): ReadonlyMap<number, number> {
    return this.#generated;
  }

  /** Adds a token that was generated. */
  push(id: number): void {
    this.#generated.set(id, (this.#generated.get(id) ?? 0) + 1);
    this.#length++;
  }
}
