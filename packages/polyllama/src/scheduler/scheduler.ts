// Many texts at once: continuous batching (Yu et al., "Orca", OSDI 2022). Every step advances all texts that are written
// by a row and reads a piece of the prompts that are waiting, so that weights are read once for all of them and nobody
// waits for another one's end.
//
// One loop does all of it: let requests in, choose what the next step computes, submit it, and hand out what came. As
// long as nothing changes, the tokens that the device drew are the next step's input before the host has seen them, so
// that a text alone is written as fast as by a sequence of its own.

import { checkNumber, checkOptions, checkValue, PolyllamaError, showBriefly, type Tokenizer } from "@polyllama/core";
import type { CachePool, OutputValue } from "@polyllama/core/device";
import {
  type Choice,
  type ChooseOptions,
  checkGenerateOptions,
  generate,
  type Piece,
  type TokenSource,
} from "../generation/generate.ts";
import { checkTokens, modelDisposed, type SequenceModel } from "../sequence-model.ts";
import { cutsOf } from "./cuts.ts";
import { KvBlocks } from "./kv-blocks.ts";
import type { SchedulerMetrics } from "./metrics.ts";
import {
  type RequestOptions,
  requestOptionTypes,
  type ScheduledOptions,
  type SchedulerOptions,
  scheduledOptionTypes,
  schedulerOptionTypes,
} from "./options.ts";
import { runSteps, type StepEvents } from "./pipeline.ts";
import { chosen, createRequest, type Request, type RequestEvents } from "./request.ts";
import { type Part, Requests } from "./requests.ts";
import { choicesOf, drawsAll } from "./step.ts";

/** What a scheduler works with. */
export interface SchedulerParts {
  readonly model: SequenceModel;
  /** Most positions of a text. */
  readonly contextLength: number;
  /** Makes a pool of KV blocks for so many texts of that length. @throws {MemoryError} */
  readonly pool: (sequences: number) => CachePool;
  /** Absent: only {@link Scheduler.choose} can be used. */
  readonly tokenizer?: Tokenizer | undefined;
  /** Tokens at which the model says that a text is complete. */
  readonly ends?: readonly number[];
}

/** Runs requests together on one model. Made by `Llama.createScheduler`; dispose it when done. */
export class Scheduler implements TokenSource, AsyncDisposable {
  /** Most tokens of a text, prompt included; the last one needs no place. */
  readonly capacity: number;
  readonly #parts: SchedulerParts;
  readonly #blocks: KvBlocks;
  readonly #requests: Requests;
  readonly #maxWaiting: number;
  readonly #maxUndelivered: number;
  readonly #counts = {
    finished: 0,
    cancelled: 0,
    failed: 0,
    refused: 0,
    promptTokens: 0,
    generatedTokens: 0,
    rows: 0,
    steps: 0,
  };
  readonly #steps: StepEvents = {
    goesOn: (parts, underWay) => this.#goesOn(parts, underWay),
    take: (parts, values) => this.#take(parts, values),
  };
  readonly #readers: RequestEvents = {
    taken: ({ delivery }) => {
      if (delivery.undelivered === this.#maxUndelivered - 1) this.#notice(); // it rests no more
    },
    left: (request) => {
      if (request.state === "ended") return;
      this.#counts.cancelled++;
      this.#end(request);
    },
  };
  readonly #ended = (): void => this.#failAll(modelDisposed());
  #arrivals = 0;
  #version: number;
  /** Whether something has happened since a step was chosen that another choice may follow from. */
  #changed = false;
  #wake: (() => void) | undefined;
  #working: Promise<void> | undefined;
  #disposed: Promise<void> | undefined;

  /** @throws {OptionError}; {@link PolyllamaError} `ERR_DISPOSED`; `MemoryError` */
  constructor(parts: SchedulerParts, options: SchedulerOptions = {}) {
    checkOptions(options, schedulerOptionTypes, "createScheduler()");
    const { sequences = 4, maxRunning = 64, maxWaiting = 256, stepTokens = 128, maxUndelivered = 64 } = options;
    const { strict = false, prefixCache = true } = options;
    const { model, contextLength } = parts;
    model.end.signal.throwIfAborted();
    const pool = parts.pool(sequences);
    const cuts = cutsOf(model.device.features, strict, model.chunk, pool.blockRows);
    this.#parts = parts;
    this.#blocks = new KvBlocks(model, pool, contextLength, cuts, prefixCache);
    const limits = { running: maxRunning, stepTokens, chunk: model.chunk, undelivered: maxUndelivered };
    this.#requests = new Requests(this.#blocks, cuts, limits);
    this.#maxWaiting = maxWaiting;
    this.#maxUndelivered = maxUndelivered;
    this.#version = model.parameters.version;
    this.capacity = this.#blocks.capacity;
    model.end.signal.addEventListener("abort", this.#ended, { once: true });
  }

  /**
   * Continues a prompt as a stream of text.
   *
   * @throws {OptionError} at once; while iterating as {@link choose}.
   */
  generate(prompt: readonly number[], options: ScheduledOptions = {}): AsyncGenerator<Piece, void, undefined> {
    const { tokenizer, ends } = this.#parts;
    checkGenerateOptions(options, scheduledOptionTypes, "generate()", tokenizer);
    if (tokenizer === undefined) throw new PolyllamaError("ERR_TOKENIZER", "The model has no tokenizer; use choose().");
    const { priority, adapter, salt, onProgress, ...rest } = options;
    const own: RequestOptions = {
      ...(priority !== undefined && { priority }),
      ...(adapter !== undefined && { adapter }),
      ...(salt !== undefined && { salt }),
      ...(onProgress !== undefined && { onProgress }),
    };
    const source: TokenSource = {
      capacity: this.capacity,
      choose: (tokens, choice) => this.choose(tokens, { ...choice, ...own }),
    };
    return generate(source, tokenizer, prompt, { ...(ends && { ends }), ...rest });
  }

  /**
   * Tokens that follow a prompt. The request waits in the queue from now on; it ends with its last token, when its
   * reader leaves (`return()`), or by its signal.
   *
   * @throws {PolyllamaError} `ERR_QUEUE_FULL` where too many wait already (try again later), `ERR_DISPOSED`;
   * {@link OptionError}; `ContextOverflowError`; the signal's reason. While iterating: the signal's reason;
   * {@link PolyllamaError} `ERR_BACKEND`, `ERR_DISPOSED`.
   */
  choose(prompt: readonly number[], options: ChooseOptions & RequestOptions): AsyncIterableIterator<Choice, undefined> {
    const { model } = this.#parts;
    const { capacity } = this;
    for (const [name, type] of Object.entries(requestOptionTypes)) {
      checkValue(options[name as keyof RequestOptions], type, name, "choose()"); // its own keys
    }
    checkTokens(prompt, { vocabSize: model.vocabSize, capacity }, "choose()");
    checkNumber(options.count, "count", { least: 1 });
    model.end.signal.throwIfAborted();
    if (this.#disposed !== undefined) throw disposed();
    options.signal?.throwIfAborted();
    if (this.#requests.waiting >= this.#maxWaiting) {
      this.#counts.refused++;
      const message = `${this.#maxWaiting} requests are waiting, which is the most that there may be; try again later.`;
      throw new PolyllamaError("ERR_QUEUE_FULL", message);
    }
    const about = { number: this.#arrivals++, capacity, adapter: model.adapter };
    const request = createRequest(prompt, options, about, this.#readers);
    this.#counts.promptTokens += prompt.length;
    this.#requests.add(request);
    this.#notice();
    this.#working ??= this.#work();
    return request.delivery;
  }

  /** Whether no request waits or runs. */
  get idle(): boolean {
    return this.#requests.count === 0;
  }

  /** What it is doing and has done. */
  metrics(): SchedulerMetrics {
    const { pool, cached } = this.#blocks;
    const all = [...this.#requests];
    return {
      waiting: this.#requests.waiting,
      running: this.#requests.running.size,
      resting: all.filter((request) => this.#requests.rests(request)).length,
      blocks: pool.blocks,
      freeBlocks: pool.freeBlocks,
      cachedBlocks: cached,
      prefixHitTokens: this.#requests.prefixHits,
      preemptions: this.#requests.preemptions,
      ...this.#counts,
    };
  }

  /** Forgets all prefixes: for when the name of an adapter is given to another one. */
  forgetPrefixes(): void {
    this.#blocks.forget();
  }

  /** Ends all requests with `ERR_DISPOSED`, and frees the KV blocks. The model stays. */
  dispose(): Promise<void> {
    this.#disposed ??= this.#free();
    return this.#disposed;
  }

  /** As {@link Scheduler.dispose}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #free(): Promise<void> {
    this.#parts.model.end.signal.removeEventListener("abort", this.#ended);
    this.#failAll(disposed());
    await this.#working;
    this.#blocks[Symbol.dispose]();
  }

  async #work(): Promise<void> {
    await undefined; // requests that come in the same turn begin together
    try {
      while (this.#requests.count > 0) {
        this.#changed = false;
        this.#startAnewAfterUpdates();
        this.#requests.admit();
        const parts = this.#requests.batch();
        if (parts.length > 0) await this.#advance(parts);
        else await this.#change();
      }
    } catch (error) {
      this.#failAll(error);
    }
    this.#working = undefined;
  }

  /** Runs a step, and others like it as long as nothing changes. One that fails is run again by parts. */
  async #advance(parts: readonly Part[]): Promise<void> {
    try {
      await runSteps(parts, this.#parts.model, this.#steps);
    } catch (error) {
      for (const { request } of parts) {
        if (parts.length === 1) this.#fail(request, error);
        const alone = parts.length > 1 && this.#requests.alone(request);
        if (alone) await this.#advance([alone]);
      }
    }
  }

  /** Whether the next step is surely one more row of each part, while so many are under way. */
  #goesOn(parts: readonly Part[], underWay: number): boolean {
    const { model } = this.#parts;
    if (this.#changed || this.#version !== model.parameters.version) return false;
    return drawsAll(parts, model) && this.#requests.goOn(parts, underWay);
  }

  /** Hands out what a step gave. */
  #take(parts: readonly Part[], values: readonly OutputValue[]): void {
    this.#counts.steps++;
    const choices = choicesOf(parts, this.#parts.model, values);
    for (const part of parts) {
      const { request, place, rows } = part;
      this.#counts.rows += rows;
      if (request.place !== place) continue; // it has ended
      try {
        this.#computed(request, place, rows);
        const choice = choices.get(part)?.();
        if (choice === undefined) continue;
        request.tokens.push(choice.id);
        this.#counts.generatedTokens++;
        request.delivery.push(choice);
        if (chosen(request) < request.count && !request.finals.has(choice.id)) continue;
        this.#counts.finished++;
        this.#end(request);
        request.delivery.end();
      } catch (error) {
        this.#fail(request, error);
      }
    }
  }

  #computed(request: Request, place: Part["place"], rows: number): void {
    const { promptLength, onProgress } = request;
    const before = place.computed;
    place.computed += rows;
    if (before >= promptLength) return;
    if (place.computed >= promptLength) this.#blocks.share(request);
    const [done, total] = [Math.min(place.computed, promptLength) - place.known, promptLength - place.known];
    onProgress?.({ phase: "reading the prompt", done, total, unit: "tokens" });
  }

  /** Keys and values of other parameters are worth nothing. */
  #startAnewAfterUpdates(): void {
    const { version } = this.#parts.model.parameters;
    if (version === this.#version) return;
    this.#version = version;
    for (const request of [...this.#requests.running]) this.#requests.preempt(request);
    this.#blocks.forget();
  }

  #end(request: Request): void {
    request.leave();
    this.#requests.remove(request);
    this.#notice();
  }

  #fail(request: Request, error: unknown): void {
    if (request.state === "ended") return;
    this.#counts.failed++;
    this.#end(request);
    request.delivery.fail(error);
  }

  #failAll(error: unknown): void {
    for (const request of [...this.#requests]) this.#fail(request, error);
  }

  #notice(): void {
    this.#changed = true;
    this.#wake?.();
  }

  /** Nothing can be computed until something happens. */
  async #change(): Promise<void> {
    if (this.#changed) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }
}

function disposed(): PolyllamaError {
  return new PolyllamaError("ERR_DISPOSED", "The scheduler was disposed; create another one.");
}

showBriefly(Scheduler.prototype, "Scheduler", (scheduler) => {
  const { waiting, running, freeBlocks } = scheduler.metrics();
  return { waiting, running, freeBlocks };
});
