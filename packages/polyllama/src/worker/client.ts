// The page's side: a model that lives in a worker, with the methods of `Llama` that stream text.

import type { WebLocation } from "@polyllama/checkpoints";
import { type Piece, PolyllamaError, type Progress } from "@polyllama/core";
import type { ChatMessage, ChatPrompt } from "../chat/prompt.ts";
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
  private readonly connection: Connection;

  private constructor(connection: Connection, info: ModelInfo) {
    this.connection = connection;
    this.info = info;
  }

  /**
   * Loads a checkpoint in a worker whose file called `serveLlama`. One model per worker: loading another one disposes the
   * first. The worker stays yours to terminate.
   *
   * @throws as `Llama.load`; {@link PolyllamaError} `ERR_BACKEND` when the worker itself fails.
   */
  static async load(
    worker: Worker,
    location: string | WebLocation,
    options: WorkerLoadOptions = {},
  ): Promise<WorkerLlama> {
    const { onProgress, signal, ...plain } = options;
    const connection = new Connection(worker);
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
    return this.stream({ do: "generate", prompt, options: plain }, { onProgress, signal });
  }

  /** Answers a conversation as a stream. */
  chat(messages: readonly ChatMessage[], options: WorkerChatOptions = {}): AsyncGenerator<Piece, void, undefined> {
    const { onProgress, signal, ...plain } = options;
    return this.stream({ do: "chat", messages, options: plain }, { onProgress, signal });
  }

  /** A conversation as the model would read it, as `Llama.renderChat` gives it. */
  async renderChat(messages: readonly ChatMessage[], options: WorkerRenderChatOptions = {}): Promise<ChatPrompt> {
    const { signal, ...plain } = options;
    const request = { do: "render", messages, options: plain } as const;
    for await (const answer of this.connection.ask(request, signal === undefined ? {} : { signal })) {
      if (answer.is === "done" && answer.prompt) return answer.prompt;
    }
    throw new PolyllamaError("ERR_BACKEND", "The worker did not say what it rendered.");
  }

  /** Ends what still runs, and frees model and backend; the worker can load again. */
  async dispose(): Promise<void> {
    if (this.connection.closed) return;
    for await (const _ of this.connection.ask({ do: "dispose" }, {}));
    this.connection.close();
  }

  /** As {@link WorkerLlama.dispose}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  private async *stream(
    request: Request,
    { onProgress, signal }: { onProgress: CallOptions["onProgress"]; signal: CallOptions["signal"] },
  ): AsyncGenerator<Piece, void, undefined> {
    const options = { ...(onProgress && { onProgress }), ...(signal && { signal }) };
    for await (const answer of this.connection.ask(request, options)) {
      if (answer.is === "piece") yield answer.piece;
    }
  }
}

/** Calls by number, each with the answers that have come for it. */
class Connection {
  closed = false;
  private readonly worker: Worker;
  private readonly listeners = new Map<number, (answer: Answer) => void>();
  private calls = 0;

  constructor(worker: Worker) {
    this.worker = worker;
    worker.addEventListener("message", this.receive);
    worker.addEventListener("error", this.fail);
    worker.addEventListener("messageerror", this.fail);
  }

  close(): void {
    this.closed = true;
    this.worker.removeEventListener("message", this.receive);
    this.worker.removeEventListener("error", this.fail);
    this.worker.removeEventListener("messageerror", this.fail);
  }

  /** Pieces and the last answer, as they come. Ended early, it aborts the call. */
  async *ask(request: Request, { onProgress, signal }: CallOptions): AsyncGenerator<Answer, void, undefined> {
    signal?.throwIfAborted();
    if (this.closed) throw new PolyllamaError("ERR_DISPOSED", "This model was disposed; load it again.");
    const call = this.calls++;
    const queue: Answer[] = [];
    let wake = (): void => {};
    this.listeners.set(call, (answer) => {
      queue.push(answer);
      wake();
    });
    const abort = (): void => {
      this.worker.postMessage({ do: "abort", call });
      wake();
    };
    signal?.addEventListener("abort", abort, { once: true });
    let ended = false;
    try {
      this.worker.postMessage({ ...request, call });
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
      this.listeners.delete(call);
      if (!ended) this.worker.postMessage({ do: "abort", call });
    }
  }

  private readonly receive = ({ data }: MessageEvent<AnswerMessage>): void => this.listeners.get(data.call)?.(data);

  private readonly fail = (event: Event): void => {
    const message = `The worker failed: ${reasonOf(event)}`;
    const error = { name: "PolyllamaError", message, fields: { code: "ERR_BACKEND" } };
    for (const listener of this.listeners.values()) listener({ is: "error", error });
  };
}

/** A file that is not there gives an event without a word of why. */
function reasonOf(event: Event): string {
  if (event.type === "messageerror") return "a message could not be read. Start another worker.";
  const text = "message" in event ? String(event.message) : "";
  if (text !== "") return `${text}. Look at the console for where; start another worker.`;
  return (
    "its file was not found, or is not one of JavaScript. Bundlers see to it where the page has " +
    '`new Worker(new URL("./worker.js", import.meta.url), { type: "module" })`, written out like this; ' +
    "esbuild needs the worker's file as an entry point of its own."
  );
}

/** URLs cannot be sent, and relative ones mean another file in a worker. */
function sendable<Location>(location: Location | string | URL): Exclude<Location, URL> | string {
  if (location instanceof URL) return location.href;
  if (typeof location === "string") return new URL(location, globalThis.location?.href).href;
  return location as Exclude<Location, URL>; // it is none
}
