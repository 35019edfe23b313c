// Templates of others are programs of others, so that they are rendered in a worker, with little time and memory. There
// is one worker, for one rendering at a time; it starts with the first, is ended with one that fails to end by itself,
// and stops when nothing was rendered for a while. An idle worker keeps no process alive.

import { PolyllamaError } from "@polyllama/core";
import { startRenderThread } from "#chat/start";
import { ChatTemplateError } from "./error.ts";
import { longestTemplate, type RenderRequest } from "./jinja/render.ts";
import type { ThreadAnswer } from "./thread/serve.ts";
import type { RenderThread } from "./thread/start.ts";

/** Milliseconds: until the worker has started, for a rendering, and until an idle worker stops. */
const time = { start: 10_000, render: 2000, idle: 5000 };

let turn: Promise<unknown> = Promise.resolve();
let idle: Thread | undefined;

/**
 * Text of a template, with the marks where they were. Renderings take turns.
 *
 * @throws {ChatTemplateError} for a template that refuses the conversation, fails, is stopped, or is not understood;
 * {@link PolyllamaError} `ERR_CHAT` where no worker starts; the signal's reason.
 */
export async function renderJinja(request: RenderRequest, signal?: AbortSignal): Promise<string> {
  signal?.throwIfAborted();
  if (request.template.length > longestTemplate) {
    throw new ChatTemplateError(
      "limit",
      `it has ${request.template.length} characters, and at most ${longestTemplate} are read`,
    );
  }
  const variables = JSON.stringify(request.variables);
  const rendering = turn.then(() => {
    if (signal?.aborted) return "";
    idle ??= new Thread();
    return idle.render({ ...request, variables });
  });
  turn = rendering.catch(() => {});
  if (signal === undefined) return rendering;
  let abort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
  });
  try {
    return await Promise.race([rendering, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

class Thread {
  readonly #thread: RenderThread;
  readonly #started: Promise<void>;
  #settle: { readonly done: (text: string) => void; readonly failed: (error: Error) => void } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    let started = (): void => {};
    let failed = (_: Error): void => {};
    this.#started = new Promise((resolve, reject) => {
      started = resolve;
      failed = reject;
    });
    this.#started.catch(() => {}); // it is waited for in `render`
    this.#thread = startRenderThread({
      answered: (answer) => {
        if (answer.is === "started") started();
        else if (answer.is === "text") this.#settle?.done(answer.text);
        else this.#settle?.failed(failureOf(answer));
      },
      failed: (reason) => {
        this.#end();
        // A worker that had started was ended for the memory that it took.
        failed(new PolyllamaError("ERR_CHAT", `The worker that renders chat templates does not start: ${reason}.`));
        this.#settle?.failed(new ChatTemplateError("limit", `it takes too much memory: ${reason}`));
      },
    });
  }

  async render(request: Parameters<RenderThread["post"]>[0]): Promise<string> {
    clearTimeout(this.#timer);
    this.#thread.keepAlive(true);
    try {
      const late = "The worker that renders chat templates did not start within 10 seconds; try again.";
      await this.#within(time.start, new PolyllamaError("ERR_CHAT", late), this.#started);
      const answer = new Promise<string>((done, failed) => {
        this.#settle = { done, failed };
      });
      this.#thread.post(request);
      return await this.#within(time.render, new ChatTemplateError("limit", "it takes too long"), answer);
    } finally {
      this.#settle = undefined;
      this.#thread.keepAlive(false);
      if (idle === this) this.#timer = unref(setTimeout(() => this.#end(), time.idle));
    }
  }

  /** A promise that must settle in time; else the worker ends. */
  async #within<Value>(milliseconds: number, late: Error, promise: Promise<Value>): Promise<Value> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        this.#end();
        reject(late);
      }, milliseconds);
    });
    try {
      return await Promise.race([promise, timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  #end(): void {
    if (idle === this) idle = undefined;
    this.#thread.stop();
  }
}

/** Where there are processes, a timer that keeps none alive. */
function unref(timer: ReturnType<typeof setTimeout>): ReturnType<typeof setTimeout> {
  if (typeof timer === "object") timer.unref();
  return timer;
}

function failureOf({ kind, message, stack }: Extract<ThreadAnswer, { is: "failure" }>): ChatTemplateError {
  if (stack === undefined) return new ChatTemplateError(kind, message);
  return new ChatTemplateError(kind, message, { cause: Object.assign(new Error(message), { stack }) });
}
