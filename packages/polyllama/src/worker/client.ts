// The page's side: a model that lives in a worker, with the methods of `Llama` that stream text. What they are given is
// checked here as `Llama` checks it, before anything is sent: what cannot be sent would end as an error of the
// browser's.

import { checkpointLocation, type WebLocation } from "@polyllama/checkpoints";
import { checkOptions, checkValue, type OptionType, PolyllamaError } from "@polyllama/core";
import { checkMessages, checkPrompt } from "../arguments.ts";
import type { ChatMessage, ChatPrompt } from "../chat/prompt.ts";
import { checkGenerateOptions, type Piece } from "../generation/generate.ts";
import { chatOptionTypes, llamaGenerateOptionTypes, loadOptionTypes, renderChatOptionTypes } from "../options.ts";
import { type CallOptions, Connection } from "./connection.ts";
import { type AnyWorker, portOf } from "./port.ts";
import type {
  ModelInfo,
  PlainChatOptions,
  PlainGenerateOptions,
  PlainLoadOptions,
  PlainRenderChatOptions,
  Request,
} from "./protocol.ts";

/** Options of `WorkerLlama.load`: those of `Llama.load` that can be sent to a worker. */
export interface WorkerLoadOptions extends PlainLoadOptions, CallOptions {}
/** Options of `WorkerLlama.generate`. */
export interface WorkerGenerateOptions extends PlainGenerateOptions, CallOptions {}
/** Options of `WorkerLlama.chat`. */
export interface WorkerChatOptions extends PlainChatOptions, CallOptions {}
/** Options of `WorkerLlama.renderChat`. */
export interface WorkerRenderChatOptions extends PlainRenderChatOptions, Pick<CallOptions, "signal"> {}

const where = "WorkerLlama.load";

/** An option that the worker's side has alone. */
const elsewhere = (remedy: string): OptionType => ({
  expected: "left out",
  accepts: () => false,
  remedy: () => remedy,
});
const backend = elsewhere("The worker's own file chooses the backend: serveLlama(() => webgpu()).");
const sequence = elsewhere("Sequences stay in the worker, which keeps one between calls.");
const types = {
  load: { ...loadOptionTypes, backend },
  generate: { ...llamaGenerateOptionTypes, sequence },
  chat: { ...chatOptionTypes, sequence },
};

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
   * Loads a checkpoint in a worker whose file called `serveLlama`. One model per worker: loading another one disposes
   * the first. The worker stays yours to terminate.
   *
   * @throws as `Llama.load`; {@link PolyllamaError} `ERR_BACKEND` when the worker itself fails.
   */
  static async load(
    worker: AnyWorker,
    location: string | WebLocation,
    options: WorkerLoadOptions = {},
  ): Promise<WorkerLlama> {
    checkValue(location, { ...checkpointLocation, required: true }, "checkpoint", where);
    checkOptions(options, types.load, where);
    const { onProgress, signal, ...plain } = options;
    const connection = new Connection(portOf(worker));
    try {
      const request = {
        do: "load",
        location: sendable(location),
        options: {
          ...plain,
          ...(plain.tokenizer !== undefined && { tokenizer: sendable(plain.tokenizer) }),
          ...(plain.adapter !== undefined && { adapter: sendable(plain.adapter) }),
        },
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
  async *generate(
    prompt: string | readonly number[],
    options: WorkerGenerateOptions = {},
  ): AsyncGenerator<Piece, void, undefined> {
    checkGenerateOptions(options, types.generate, "generate()");
    checkPrompt(prompt, this.info.config.vocabSize, "generate()");
    const { onProgress, signal, ...plain } = options;
    yield* this.#stream({ do: "generate", prompt, options: plain }, { onProgress, signal });
  }

  /** Answers a conversation as a stream. */
  async *chat(
    messages: readonly ChatMessage[],
    options: WorkerChatOptions = {},
  ): AsyncGenerator<Piece, void, undefined> {
    checkGenerateOptions(options, types.chat, "chat()");
    checkMessages(messages, "chat()");
    const { onProgress, signal, ...plain } = options;
    yield* this.#stream({ do: "chat", messages, options: plain }, { onProgress, signal });
  }

  /** A conversation as the model would read it, as `Llama.renderChat` gives it. */
  async renderChat(messages: readonly ChatMessage[], options: WorkerRenderChatOptions = {}): Promise<ChatPrompt> {
    checkOptions(options, renderChatOptionTypes, "renderChat()");
    checkMessages(messages, "renderChat()");
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

/** URLs cannot be sent; in a page, relative ones would mean another file in a worker. */
function sendable<Location>(location: Location | string | URL): Exclude<Location, URL> | string {
  if (location instanceof URL) return location.href;
  if (typeof location !== "string") return location as Exclude<Location, URL>; // it is none
  // Elsewhere a string is a path, and a worker has the same working folder.
  const page = /^(https?|blob):/.test(globalThis.location?.protocol ?? "") ? globalThis.location.href : undefined;
  return page === undefined ? location : new URL(location, page).href;
}
