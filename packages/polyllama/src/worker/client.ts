// The page's side: a model that lives in a worker, with the methods of `Llama` that stream text.

import type { WebLocation } from "@polyllama/checkpoints";
import { type Piece, PolyllamaError, type Progress } from "@polyllama/core";
import type { ChatMessage, ChatPrompt } from "../chat/prompt.ts";
import { type AnyWorker, type Port, portOf } from "./port.ts";
import {
  type Answer,
  type AnswerMessage,
  type ModelInfo,
  type PlainChatOptions,
  type PlainGenerateOptions,
  type PlainLoadOptions,
  type PlainRenderChatOptions,
  putTogether,
  type Request,
  takeApart,
} from "./protocol.ts";

interface CallOptions {
  /** As in `Llama.load` and `Llama.generate`. */
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** Options of `WorkerLlama.load`: those of `Llama.load` that can be sent to a worker. */
export interface WorkerLoadOptions extends PlainLoadOptions, CallOptions {}
/** Options of `WorkerLlama.generate`. */
export interface WorkerGenerateOptions extends PlainGenerateOptions, CallOptions {}
/** Options of `WorkerLlama.chat`. */
export interface WorkerChatOptions extends PlainChatOptions, CallOptions {}
/** Options of `WorkerLlama.renderChat`. */
export interface WorkerRenderChatOptions extends PlainRenderChatOptions, Pick<CallOptions, "signal"> {}

/**
 * A model in a worker. Errors are those of `Llama`, with class and code; `generate` and `chat` throw all of them while
 * iterating.
 */
export class WorkerLlama implements AsyncDisposable {
  readonly info: ModelInfo;
  readonly #connection: Connection;

  private constructor(connection: Connection, info: ModelInfo) {
    this.#connection = connection;
    this.info = info;
  }

  /**
   * Loads a checkpoint in a worker whose file called `serveLlama`. One model per worker: loading another one disposes the
   * first. The worker stays yours to terminate.
   *
   * @throws as `Llama.load`; {@link PolyllamaError} `ERR_BACKEND` when the worker itself fails.
   */
  static async load(
    worker: AnyWorker,
    location: string | WebLocation,
    options: WorkerLoadOptions = {},
  ): Promise<WorkerLlama> {
    const { onProgress, signal, ...plain } = options;
    const connection = new Connection(portOf(worker));
    try {
      const request = {
        do: "load",
        location: sendable(location),
        options: plain.tokenizer === undefined ? plain : { ...plain, tokenizer: sendable(plain.tokenizer) },
      } as const;
      for await (const answer of connection.ask(request, {
        ...(onProgress && { onProgress }),
        ...(signal && { signal }),
      })) {
        if (answer.is === "done" && answer.model) return new WorkerLlama(connection, answer.model);
      }
      throw new PolyllamaError("ERR_BACKEND", "The worker did not say what it loaded.");
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Continues a text, or tokens, as a stream; breaking out of the loop ends the work. */
  generate(
    prompt: string | readonly number[],
    options: WorkerGenerateOptions = {},
  ): AsyncGenerator<Piece, void, undefined> {
    const { onProgress, signal, ...plain } = options;
    return this.#stream({ do: "generate", prompt, options: plain }, { onProgress, signal });
  }

  /** Answers a conversation as a stream. */
  chat(messages: readonly ChatMessage[], options: WorkerChatOptions = {}): AsyncGenerator<Piece, void, undefined> {
    const { onProgress, signal, ...plain } = options;
    return this.#stream({ do: "chat", messages, options: plain }, { onProgress, signal });
  }

  /** A conversation as the model would read it, as `Llama.renderChat` gives it. */
  async renderChat(messages: readonly ChatMessage[], options: WorkerRenderChatOptions = {}): Promise<ChatPrompt> {
    const { signal, ...plain } = options;
    const request = { do: "render", messages, options: plain } as const;
    for await (const answer of this.#connection.ask(request, signal === undefined ? {} : { signal })) {
      if (answer.is === "done" && answer.prompt) return answer.prompt;
    }
    throw new PolyllamaError("ERR_BACKEND", "The worker did not say what it rendered.");
  }

  /** Ends what still runs, and frees model and backend; the worker can load again. */
  async dispose(): Promise<void> {
    if (this.#connection.closed) return;
    try {
      for await (const _ of this.#connection.ask({ do: "dispose" }, {}));
    } finally {
      this.#connection.close();
    }
  }

  /** As {@link WorkerLlama.dispose}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async *#stream(
    request: Request,
    { onProgress, signal }: { onProgress: CallOptions["onProgress"]; signal: CallOptions["signal"] },
  ): AsyncGenerator<Piece, void, undefined> {
    const options = { ...(onProgress && { onProgress }), ...(signal && { signal }) };
    for await (const answer of this.#connection.ask(request, options)) {
      if (answer.is === "piece") yield answer.piece;
    }
  }
}

/** Numbers of calls, different for all models, since several may have been loaded in one worker. */
let calls = 0;

/** Calls by number, each with the answers that have come for it. */
class Connection {
  readonly #port: Port;
  readonly #listeners = new Map<number, (answer: Answer) => void>();
  readonly #stopListening: () => void;
  #closed = false;
  /** Why the worker answers no more. */
  #failure: PolyllamaError | undefined;

  constructor(port: Port) {
    this.#port = port;
    this.#stopListening = port.listen(
      (data) => {
        const message = data as AnswerMessage; // the worker's file sends nothing else
        this.#listeners.get(message.call)?.(message);
      },
      (reason) => this.#fail(reason),
    );
  }

  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
    this.#stopListening();
  }

  /** Pieces and the last answer, as they come. Ended early, it aborts the call. */
  async *ask(request: Request, { onProgress, signal }: CallOptions): AsyncGenerator<Answer, void, undefined> {
    signal?.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed) throw new PolyllamaError("ERR_DISPOSED", "This model was disposed; load it again.");
    const call = calls++;
    const queue: Answer[] = [];
    let wake = (): void => {};
    this.#listeners.set(call, (answer) => {
      queue.push(answer);
      wake();
    });
    const abort = (): void => {
      this.#port.post({ do: "abort", call });
      wake();
    };
    signal?.addEventListener("abort", abort, { once: true });
    let ended = false;
    try {
      this.#port.post({ ...request, call });
      for (;;) {
        signal?.throwIfAborted();
        const answer = queue.shift();
        if (answer === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          continue;
        }
        ended = answer.is === "done" || answer.is === "error";
        if (answer.is === "error") throw putTogether(answer.error);
        if (answer.is === "progress") onProgress?.(answer.progress);
        else yield answer;
        if (ended) return;
      }
    } finally {
      signal?.removeEventListener("abort", abort);
      this.#listeners.delete(call);
      if (!ended) this.#port.post({ do: "abort", call });
    }
  }

  /** Ends all calls, and those to come. */
  #fail(reason: string): void {
    const message = `The worker failed: ${reason}`;
    this.#failure ??= new PolyllamaError("ERR_BACKEND", message);
    const error = takeApart(this.#failure);
    for (const listener of this.#listeners.values()) listener({ is: "error", error });
  }
}

/** URLs cannot be sent; in a page, relative ones would mean another file in a worker. */
function sendable<Location>(location: Location | string | URL): Exclude<Location, URL> | string {
  if (location instanceof URL) return location.href;
  if (typeof location !== "string") return location as Exclude<Location, URL>; // it is none
  // Elsewhere a string is a path, and a worker has the same working folder.
  const page = /^(https?|blob):/.test(globalThis.location?.protocol ?? "") ? globalThis.location.href : undefined;
  return page === undefined ? location : new URL(location, page).href;
}
