// Tokens on their way to whoever reads them. The scheduler never waits for a reader: it looks at how many tokens lie
// here, and lets a request rest that has too many.

import type { Choice } from "../generation/generate.ts";

/** Who is told what a reader does. */
export interface DeliveryEvents {
  /** A token was taken. */
  taken(): void;
  /** The reader wants no more. */
  left(): void;
}

type Result = IteratorResult<Choice, undefined>;

/** The tokens of one request, read as they come. */
export class Delivery implements AsyncIterableIterator<Choice, undefined> {
  readonly #events: DeliveryEvents;
  readonly #signal: AbortSignal | undefined;
  readonly #held: Choice[] = [];
  readonly #readers: PromiseWithResolversOf<Result>[] = [];
  #end: { readonly error?: unknown } | undefined;

  /** @param signal When it is aborted, what lies here is not given any more, also where the last token is among it. */
  constructor(events: DeliveryEvents, signal?: AbortSignal) {
    this.#events = events;
    this.#signal = signal;
  }

  /** Tokens that nobody has taken yet. */
  get undelivered(): number {
    return this.#held.length;
  }

  /** One more token. */
  push(choice: Choice): void {
    const reader = this.#readers.shift();
    if (reader === undefined) this.#held.push(choice);
    else reader.resolve({ done: false, value: choice });
  }

  /** No more will come; what lies here can still be taken. */
  end(): void {
    this.#end ??= {};
    for (const reader of this.#readers.splice(0)) reader.resolve(done);
  }

  /** Reading ends with an error, at once: what lies here is dropped. */
  fail(error: unknown): void {
    this.#held.length = 0;
    this.#end ??= { error };
    for (const reader of this.#readers.splice(0)) reader.reject(error);
  }

  next(): Promise<Result> {
    if (this.#held.length > 0 && this.#signal?.aborted) {
      this.#end = undefined;
      this.fail(this.#signal.reason);
    }
    const value = this.#held.shift();
    if (value !== undefined) {
      this.#events.taken();
      return Promise.resolve({ done: false, value });
    }
    const end = this.#end;
    if (end !== undefined) {
      this.#end = {}; // an error is thrown once
      return "error" in end ? Promise.reject(end.error) : Promise.resolve(done);
    }
    const reader = withResolvers<Result>();
    this.#readers.push(reader);
    return reader.promise;
  }

  return(): Promise<Result> {
    this.#held.length = 0;
    this.end();
    this.#events.left();
    return Promise.resolve(done);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

const done: Result = { done: true, value: undefined };

interface PromiseWithResolversOf<Value> {
  readonly promise: Promise<Value>;
  readonly resolve: (value: Value) => void;
  readonly reject: (reason: unknown) => void;
}

function withResolvers<Value>(): PromiseWithResolversOf<Value> {
  let resolve: (value: Value) => void = () => undefined;
  let reject: (reason: unknown) => void = () => undefined;
  const promise = new Promise<Value>((keep, refuse) => {
    resolve = keep;
    reject = refuse;
  });
  return { promise, resolve, reject };
}
