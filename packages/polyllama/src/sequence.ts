// A sequence is a list of tokens together with the keys and values that a model computed for them. It only ever computes
// what is new: asked to become another list of tokens, it rewinds to the common prefix and reads the rest in chunks.

import {
  checkOptions,
  checkValue,
  type DrawOptions,
  type KvCache,
  OptionError,
  option,
  PolyllamaError,
  type RealArray,
  showBriefly,
} from "@polyllama/core";
import { type ContinueOptions, continueOptionTypes } from "./continue-options.ts";
import { checkTokens, commonPrefix, inUse, runOptions, type SequenceModel } from "./sequence-model.ts";

/** Tokens that a model has read, with their keys and values. Dispose it when done. */
export class Sequence implements Disposable {
  readonly #model: SequenceModel;
  readonly #cache: KvCache;
  #held: number[] = [];
  #busy = false;
  /** Forks that are under way, one after another. */
  #forks = 0;
  #lastFork: Promise<unknown> = Promise.resolve();
  #disposed = false;

  /** Made by `Llama.createSequence` and `fork`. */
  constructor(model: SequenceModel, cache: KvCache) {
    this.#model = model;
    this.#cache = cache;
  }

  /** The tokens whose keys and values it holds. */
  get tokens(): readonly number[] {
    return this.#held;
  }

  /** Whether the backend can choose tokens where the logits are. */
  get samples(): boolean {
    return this.#model.program.sample !== undefined;
  }

  /** Most tokens that it can hold. */
  get capacity(): number {
    return this.#cache.capacity;
  }

  /** @throws {OptionError} for a sequence of another model; {@link PolyllamaError} `ERR_DISPOSED` */
  checkUsableBy(model: SequenceModel, where: string): void {
    if (this.#model !== model) {
      const expected = "a sequence of this model";
      const message = `${where}: the sequence belongs to another model; create one with this model's createSequence().`;
      throw new OptionError(message, { option: "sequence", expected, value: this });
    }
    this.#checkAlive();
  }

  /**
   * Makes the sequence equal to `tokens`. When it throws, the sequence holds a prefix of `tokens` and stays usable.
   *
   * @returns logits [V] for the token that comes next.
   * @throws {ContextOverflowError}
   * @throws {PolyllamaError} `ERR_OPTION` for no tokens or an id outside the vocabulary, `ERR_BUSY`; the signal's reason.
   */
  async continueTo(tokens: readonly number[], options: ContinueOptions | AbortSignal = {}): Promise<RealArray> {
    const given: ContinueOptions = options instanceof AbortSignal ? { signal: options } : options;
    const read = this.#start(tokens, given, "continueTo()");
    try {
      const { program, chunk } = this.#model;
      for (;;) {
        const rows = tokens.slice(this.#held.length, this.#held.length + chunk);
        const last = this.#held.length + rows.length === tokens.length;
        const [logits] = await program.run(
          this.#step(rows),
          last ? [{ value: "logits", rows: "last" }] : [],
          runOptions(given),
        );
        this.#held.push(...rows);
        read();
        if (logits !== undefined) return logits.data; // [V]
      }
    } finally {
      this.#busy = false;
    }
  }

  /**
   * Continues `tokens` by up to `count` tokens that the device chooses, where it can (`samples`). Stopping early forgets what
   * was computed beyond the last token that was taken.
   *
   * @throws as {@link continueTo}, while iterating.
   */
  async *sample(
    tokens: readonly number[],
    sampling: DrawOptions,
    count: number,
    options: ContinueOptions = {},
  ): AsyncGenerator<number, void, undefined> {
    const { program, chunk } = this.#model;
    if (program.sample === undefined) {
      throw new PolyllamaError("ERR_UNSUPPORTED", "This backend does not choose tokens by itself; use continueTo().");
    }
    const read = this.#start(tokens, options, "sample()");
    const all = [...tokens];
    try {
      while (tokens.length - this.#held.length > chunk) {
        const rows = tokens.slice(this.#held.length, this.#held.length + chunk);
        await program.run(this.#step(rows), [], runOptions(options));
        this.#held.push(...rows);
        read();
      }
      const run = { cache: this.#cache, tokens: Int32Array.from(tokens.slice(this.#held.length)), sampling, count };
      let begun = false;
      for await (const id of program.sample(run, runOptions(options))) {
        this.#held = [...all];
        all.push(id);
        if (!begun) read();
        begun = true;
        yield id;
      }
    } finally {
      this.#busy = false;
      this.#held = all.slice(0, this.#cache.length);
    }
  }

  /** Forgets all tokens from `length` on. @throws {PolyllamaError} `ERR_OPTION`, `ERR_BUSY` */
  truncate(length: number): void {
    this.#checkAlive();
    const most = this.#held.length;
    checkValue(length, { ...option.integer({ least: 0, most }), required: true }, "length", "truncate()");
    this.#rewind(length);
  }

  /**
   * An independent copy of what the sequence holds now. Several at once are made one after another; until they are there, the
   * sequence stays as it is.
   *
   * @throws {PolyllamaError} `ERR_BUSY` while the sequence is continued, `ERR_DISPOSED`
   */
  async fork(): Promise<Sequence> {
    this.#checkAlive();
    if (this.#busy) throw inUse();
    const held = [...this.#held];
    this.#forks++;
    const forked = this.#lastFork.then(() => this.#cache.fork());
    this.#lastFork = forked.catch(() => undefined);
    try {
      const copy = new Sequence(this.#model, await forked);
      copy.#held = held;
      return copy;
    } finally {
      this.#forks--;
    }
  }

  /** Frees keys and values. The model stays. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#cache[Symbol.dispose]();
  }

  /** Checks, rewinds to the common prefix and reserves the sequence; returns what reports how much is read. */
  #start(tokens: readonly number[], options: ContinueOptions, where: string): () => void {
    checkOptions(options, continueOptionTypes, where);
    this.#checkAlive();
    checkTokens(tokens, { vocabSize: this.#model.vocabSize, capacity: this.capacity }, where);
    options.signal?.throwIfAborted();
    // The last token is computed in any case, since its logits are not kept.
    this.#rewind(Math.min(commonPrefix(this.#held, tokens), tokens.length - 1));
    const first = this.#held.length;
    const read = (): void => {
      const [done, total] = [this.#held.length - first, tokens.length - first];
      options.onProgress?.({ phase: "reading the prompt", done, total, unit: "tokens" });
    };
    read();
    this.#busy = true;
    return read;
  }

  #step(rows: readonly number[]) {
    return { inputs: { tokens: Int32Array.from(rows) }, batch: [{ rows: rows.length, cache: this.#cache }] };
  }

  #rewind(length: number): void {
    if (this.#busy || this.#forks > 0) throw inUse();
    this.#cache.truncate(length);
    this.#held.length = length;
  }

  #checkAlive(): void {
    if (!this.#disposed) return;
    throw new PolyllamaError("ERR_DISPOSED", "The sequence was disposed; create another one with createSequence().");
  }
}

showBriefly(Sequence.prototype, "Sequence", ({ tokens, capacity }) => ({ tokens: tokens.length, capacity }));
