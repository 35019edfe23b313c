// Calls to a worker by number, each with the answers that come for it, as they come.

import { PolyllamaError, type Progress } from "@polyllama/core";
import { modelDisposed } from "../sequence-model.ts";
import type { Port } from "./port.ts";
import { type Answer, type AnswerMessage, putTogether, type Request, takeApart } from "./protocol.ts";

export interface CallOptions {
  /** As in `Llama.load` and `Llama.generate`. */
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** Numbers of calls, different for all models, since several may have been loaded in one worker. */
let calls = 0;

/** Calls by number, each with the answers that have come for it. */
export class Connection {
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
    if (this.#closed) throw modelDisposed();
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
