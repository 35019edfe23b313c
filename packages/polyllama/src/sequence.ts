// A sequence is a list of tokens together with the keys and values that a model computed for them. It only ever computes
// what is new: asked to become another list of tokens, it rewinds to the common prefix and reads the rest in chunks.

import {
  ContextOverflowError,
  checkNumber,
  type DrawOptions,
  type KvCache,
  PolyllamaError,
  type Program,
  type Progress,
  type RealArray,
} from "@polyllama/core";

/** How a sequence reaches its model. */
export interface SequenceModel {
  readonly program: Program;
  readonly vocabSize: number;
  /** Most rows in one run. An abort is heard between runs at the latest. */
  readonly chunk: number;
}

export interface ContinueOptions {
  readonly signal?: AbortSignal;
  /** Tokens read so far, of those that are new. */
  readonly onProgress?: (progress: Progress) => void;
}

export class Sequence implements Disposable {
  private readonly model: SequenceModel;
  private readonly cache: KvCache;
  private held: number[] = [];
  private busy = false;

  /** Made by `Llama.createSequence` and `fork`. */
  constructor(model: SequenceModel, cache: KvCache) {
    this.model = model;
    this.cache = cache;
  }

  get tokens(): readonly number[] {
    return this.held;
  }

  /** Whether the backend can choose tokens where the logits are. */
  get samples(): boolean {
    return this.model.program.sample !== undefined;
  }

  get capacity(): number {
    return this.cache.capacity;
  }

  /**
   * Makes the sequence equal to `tokens`. When it throws, the sequence holds a prefix of `tokens` and stays usable.
   *
   * @returns logits [V] for the token that comes next.
   * @throws {ContextOverflowError}
   * @throws {PolyllamaError} `ERR_OPTION` for no tokens or an id outside the vocabulary, `ERR_BUSY`; the signal's reason.
   */
  async continueTo(tokens: readonly number[], options: ContinueOptions | AbortSignal = {}): Promise<RealArray> {
    const { signal, onProgress }: ContinueOptions = options instanceof AbortSignal ? { signal: options } : options;
    this.check(tokens);
    signal?.throwIfAborted();
    // The last token is computed in any case, since its logits are not kept.
    this.rewind(Math.min(commonPrefix(this.held, tokens), tokens.length - 1));
    this.busy = true;
    try {
      const { program, chunk } = this.model;
      const first = this.held.length;
      this.report(first, tokens, onProgress);
      for (;;) {
        const rows = tokens.slice(this.held.length, this.held.length + chunk);
        const last = this.held.length + rows.length === tokens.length;
        const step = { inputs: { tokens: Int32Array.from(rows) }, batch: [{ rows: rows.length, cache: this.cache }] };
        const wanted = [last ? ({ value: "logits", rows: "last" } as const) : undefined].filter(
          (entry) => entry !== undefined,
        );
        const [logits] = await program.run(step, wanted, signal === undefined ? {} : { signal });
        this.held.push(...rows);
        this.report(first, tokens, onProgress);
        if (logits !== undefined) return logits.data; // [V]
      }
    } finally {
      this.busy = false;
    }
  }

  /**
   * Continues `tokens` by up to `count` tokens that the device chooses, where it can (`samples`). Stopping early forgets what was computed beyond the last token that was taken.
   *
   * @throws as {@link continueTo}, while iterating.
   */
  async *sample(
    tokens: readonly number[],
    sampling: DrawOptions,
    count: number,
    { signal, onProgress }: ContinueOptions = {},
  ): AsyncGenerator<number, void, undefined> {
    this.check(tokens);
    signal?.throwIfAborted();
    this.rewind(Math.min(commonPrefix(this.held, tokens), tokens.length - 1));
    this.busy = true;
    const all = [...tokens];
    const { program, chunk } = this.model;
    const runOptions = signal === undefined ? {} : { signal };
    const first = this.held.length;
    const progress = (): void => this.report(first, tokens, onProgress);
    try {
      progress();
      while (tokens.length - this.held.length > chunk) {
        const rows = tokens.slice(this.held.length, this.held.length + chunk);
        const step = { inputs: { tokens: Int32Array.from(rows) }, batch: [{ rows: rows.length, cache: this.cache }] };
        await program.run(step, [], runOptions);
        this.held.push(...rows);
        progress();
      }
      const run = { cache: this.cache, tokens: Int32Array.from(tokens.slice(this.held.length)), sampling, count };
      let begun = false;
      for await (const id of program.sample!(run, runOptions)) {
        this.held = [...all];
        all.push(id);
        if (!begun) progress();
        begun = true;
        yield id;
      }
    } finally {
      this.busy = false;
      this.held = all.slice(0, this.cache.length);
    }
  }

  /** Forgets all tokens from `length` on. @throws {PolyllamaError} `ERR_OPTION`, `ERR_BUSY` */
  truncate(length: number): void {
    checkNumber(length, "length", { least: 0, most: this.held.length, integer: true });
    this.rewind(length);
  }

  /** An independent copy. */
  async fork(): Promise<Sequence> {
    const copy = new Sequence(this.model, await this.cache.fork());
    copy.held = [...this.held];
    return copy;
  }

  [Symbol.dispose](): void {
    this.cache[Symbol.dispose]();
  }

  private rewind(length: number): void {
    if (this.busy)
      throw new PolyllamaError("ERR_BUSY", "The sequence is in use; await that call, or fork the sequence.");
    this.cache.truncate(length);
    this.held.length = length;
  }

  private report(first: number, tokens: readonly number[], onProgress: ContinueOptions["onProgress"]): void {
    const [done, total] = [this.held.length - first, tokens.length - first];
    onProgress?.({ phase: "reading the prompt", done, total, unit: "tokens" });
  }

  private check(tokens: readonly number[]): void {
    if (tokens.length === 0) {
      throw new PolyllamaError("ERR_OPTION", "The prompt has no tokens; start with the tokenizer's BOS token.");
    }
    if (tokens.length > this.capacity) {
      throw new ContextOverflowError(
        tokens.length,
        this.capacity,
        "Shorten the prompt or load the model with a larger contextLength, if it was trained for one.",
      );
    }
    for (const [index, id] of tokens.entries()) {
      if (!Number.isInteger(id) || id < 0 || id >= this.model.vocabSize) {
        throw new PolyllamaError(
          "ERR_OPTION",
          `Token ${index} is ${id}; the vocabulary has ids 0 to ${this.model.vocabSize - 1}.`,
        );
      }
    }
  }
}

function commonPrefix(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
