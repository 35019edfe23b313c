// A sequence is a list of tokens together with the keys and values that a model computed for them. It only ever
// computes what is new: asked to become another list of tokens, it rewinds to the common prefix and reads the rest in
// chunks.

import {
  checkOptions,
  checkValue,
  type DrawOptions,
  OptionError,
  option,
  PolyllamaError,
  type RealArray,
  showBriefly,
} from "@polyllama/core";
import type { DeviceTensor, HostArray, Output, OutputValue, Submission } from "@polyllama/core/device";
import { type ContinueOptions, continueOptionTypes } from "./continue-options.ts";
import { chooseOnDevice, chooseOnHost } from "./generation/choose.ts";
import type { Choice, ChooseOptions, TokenSource } from "./generation/generate.ts";
import { checkTokens, commonPrefix, inUse, type SequenceModel } from "./sequence-model.ts";
import type { CachePlace } from "./sequence-pools.ts";

const lastLogits: Output = { value: "logits", rows: "last", to: "host" };

/** Tokens that a model has read, with their keys and values. Dispose it when done. */
export class Sequence implements Disposable, TokenSource {
  readonly #model: SequenceModel;
  readonly #place: CachePlace;
  readonly #capacity: number;
  readonly #held: number[] = [];
  #busy = false;
  /** Forks that are under way. */
  #forks = 0;
  #disposed = false;

  /** Made by `Llama.createSequence` and `fork`. */
  constructor(model: SequenceModel, place: CachePlace, capacity: number) {
    this.#model = model;
    this.#place = place;
    this.#capacity = capacity;
  }

  /** The tokens whose keys and values it holds. */
  get tokens(): readonly number[] {
    return this.#held;
  }

  /** Most tokens that it can hold. */
  get capacity(): number {
    return this.#capacity;
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
   * @throws {PolyllamaError} `ERR_OPTION` for no tokens or an id outside the vocabulary, `ERR_BUSY`; the signal's
   * reason.
   */
  async continueTo(tokens: readonly number[], options: ContinueOptions | AbortSignal = {}): Promise<RealArray> {
    const given: ContinueOptions = options instanceof AbortSignal ? { signal: options } : options;
    this.#start(tokens, given, "continueTo()");
    try {
      return await this.#read(tokens, given);
    } finally {
      this.#busy = false;
    }
  }

  /**
   * Tokens that follow `prompt`: drawn by the device where it can, and otherwise here from logits that it gives. When
   * the caller stops early, what was computed beyond the last token that it took is forgotten: the sequence holds the
   * prompt and all tokens that were taken but the last.
   *
   * @throws as {@link continueTo}, while iterating; {@link PolyllamaError} `ERR_BACKEND` for logits that are NaN.
   */
  async *choose(
    prompt: readonly number[],
    options: ChooseOptions & ContinueOptions,
  ): AsyncGenerator<Choice, void, undefined> {
    const { sampler, count, logprobs, signal, onProgress } = options;
    const reading: ContinueOptions = { ...(signal && { signal }), ...(onProgress && { onProgress }) };
    this.#start(prompt, reading, "choose()");
    try {
      const onDevice = this.#model.device.features.outputs.includes("token");
      if (onDevice && sampler.draw !== undefined && logprobs === undefined) {
        yield* this.#draw(prompt, sampler.draw, count, reading);
        return;
      }
      const next = (chosen: number | undefined): Promise<RealArray> =>
        chosen === undefined ? this.#read(prompt, reading) : this.#logits([chosen], signal);
      yield* chooseOnHost(next, prompt, sampler, logprobs);
    } finally {
      this.#busy = false;
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
   * An independent copy of what the sequence holds now. Until it is there, the sequence stays as it is.
   *
   * @throws {PolyllamaError} `ERR_BUSY` while the sequence is continued, `ERR_DISPOSED`
   */
  async fork(): Promise<Sequence> {
    this.#checkAlive();
    if (this.#busy) throw inUse();
    this.#forks++; // so that its tokens stay as they are
    try {
      const place = await this.#model.pools.fork(this.#place.cache, this.#capacity);
      const copy = new Sequence(this.#model, place, this.#capacity);
      copy.#held.push(...this.#held);
      return copy;
    } finally {
      this.#forks--;
    }
  }

  /** Frees keys and values. The model stays. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#place[Symbol.dispose]();
  }

  /** Checks, rewinds to the common prefix and reserves the sequence. */
  #start(tokens: readonly number[], options: ContinueOptions, where: string): void {
    checkOptions(options, continueOptionTypes, where);
    this.#checkAlive();
    checkTokens(tokens, { vocabSize: this.#model.vocabSize, capacity: this.capacity }, where);
    options.signal?.throwIfAborted();
    // The last token is computed in any case, since its logits are not kept.
    this.#rewind(Math.min(commonPrefix(this.#held, tokens), tokens.length - 1));
    this.#busy = true;
  }

  /** Reads what of the tokens is new, and gives the last one's logits [V]. */
  async #read(tokens: readonly number[], options: ContinueOptions): Promise<RealArray> {
    const rest = await this.#readChunks(tokens, options);
    const logits = await this.#logits(rest.rows, options.signal);
    rest.report();
    return logits;
  }

  /** Reads all that is new but the last chunk, which is returned, with what reports that it is read, too. */
  async #readChunks(tokens: readonly number[], { signal, onProgress }: ContinueOptions) {
    const { chunk } = this.#model;
    const first = this.#held.length;
    const report = (): void => {
      const [done, total] = [this.#held.length - first, tokens.length - first];
      onProgress?.({ phase: "reading the prompt", done, total, unit: "tokens" });
    };
    report();
    while (tokens.length - this.#held.length > chunk) {
      const rows = tokens.slice(this.#held.length, this.#held.length + chunk);
      await this.#submit(Int32Array.from(rows), rows.length, [], signal).result;
      this.#held.push(...rows);
      report();
    }
    return { rows: tokens.slice(this.#held.length), report };
  }

  /** Advances by some tokens. @returns logits [V] of the last one */
  async #logits(rows: readonly number[], signal: AbortSignal | undefined): Promise<RealArray> {
    const [value] = await this.#submit(Int32Array.from(rows), rows.length, [lastLogits], signal).result;
    this.#held.push(...rows);
    return hostValue(value);
  }

  async *#draw(
    prompt: readonly number[],
    draw: DrawOptions,
    count: number,
    options: ContinueOptions,
  ): AsyncGenerator<Choice, void, undefined> {
    const { signal } = options;
    const { rows, report } = await this.#readChunks(prompt, options);
    const before = this.#held.length;
    const output: Output = { value: "logits", rows: "last", to: "token", draw: [draw] };
    const next = (last: DeviceTensor | undefined): Submission =>
      last === undefined
        ? this.#submit(Int32Array.from(rows), rows.length, [output], signal)
        : this.#submit(last, 1, [output], signal);
    const forget = (taken: number): void => {
      const length = taken === 0 ? before : prompt.length + taken - 1;
      this.#held.length = length;
      const { cache } = this.#place;
      if (!this.#disposed && !this.#model.end.signal.aborted && cache.length > length) cache.truncate(length);
    };
    let last: number | undefined;
    for await (const choice of chooseOnDevice(next, count, this.#model.device.features.stepsAhead, forget)) {
      if (last === undefined) {
        this.#held.push(...rows);
        report();
      } else {
        this.#held.push(last);
      }
      last = choice.id;
      yield choice;
      this.#checkAlive();
      signal?.throwIfAborted();
    }
  }

  #submit(
    inputs: HostArray | DeviceTensor,
    rows: number,
    outputs: readonly Output[],
    signal: AbortSignal | undefined,
  ): Submission {
    const { cache } = this.#place;
    const { program, adapter } = this.#model;
    const sequences = [{ rows, cache, ...(adapter !== undefined && { adapter }) }];
    return program.submit({ inputs: { tokens: inputs }, sequences, outputs }, signal);
  }

  #rewind(length: number): void {
    if (this.#busy || this.#forks > 0) throw inUse();
    this.#place.cache.truncate(length);
    this.#held.length = length;
  }

  #checkAlive(): void {
    this.#model.end.signal.throwIfAborted();
    if (!this.#disposed) return;
    throw new PolyllamaError("ERR_DISPOSED", "The sequence was disposed; create another one with createSequence().");
  }
}

function hostValue(value: OutputValue | undefined): RealArray {
  if (value?.to === "host") return value.tensor.data;
  throw new PolyllamaError("ERR_BACKEND", "The device gave no logits.");
}

showBriefly(Sequence.prototype, "Sequence", ({ tokens, capacity }) => ({ tokens: tokens.length, capacity }));
