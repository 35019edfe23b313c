// Work that has begun and uses something: whoever frees that waits for it first.

/** Promises that have not settled. */
export class UnderWay {
  readonly #work = new Set<Promise<unknown>>();

  /** Counts work until it settles. @returns the same */
  add<Work extends Promise<unknown>>(work: Work): Work {
    this.#work.add(work);
    const end = (): void => void this.#work.delete(work);
    work.then(end, end);
    return work;
  }

  /** Resolves when all that was added until now has settled. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#work);
  }
}
