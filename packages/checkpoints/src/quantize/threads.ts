// The threads of pool.ts, in Node: workers, each of which does one thing at a time. Browsers get threads-browser.ts
// instead, by the package's `imports`, so that nothing of this is in a page's bundle.

import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { PolyllamaError } from "@polyllama/core";
import type { QuantizeRequest } from "./worker.ts";

/** Threads that may be started, up to `count` of them. */
export interface Threads {
  readonly count: number;
  start(): Thread;
}

/**
 * As many threads as are wanted, or as the process may run at once; none for one, whose work the caller does as well.
 */
export function findThreads(wanted: number | undefined): Threads | undefined {
  const count = wanted ?? availableParallelism();
  return count === 1 ? undefined : { count, start: () => new Thread() };
}

/** It keeps the process alive while it works, and only then. */
export class Thread {
  readonly #worker: Worker;
  #timer: NodeJS.Timeout | undefined;

  constructor() {
    this.#worker = startWorker();
    this.#worker.unref();
  }

  /** @throws {PolyllamaError} `ERR_BACKEND` when the worker does not start, fails or ends */
  run(request: QuantizeRequest): Promise<Uint8Array> {
    clearTimeout(this.#timer);
    const worker = this.#worker;
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        worker.unref();
        worker.off("message", onMessage).off("error", onError).off("exit", onExit);
      };
      const onMessage = (blocks: Uint8Array): void => {
        settle();
        resolve(blocks);
      };
      const onError = (error: Error): void => {
        settle();
        reject(failure(error));
      };
      const onExit = (code: number): void => onError(new Error(`it ended with code ${code}`));
      worker.on("message", onMessage).on("error", onError).on("exit", onExit).ref();
      worker.postMessage(request, [request.values.buffer]);
    });
  }

  /** Calls back when nothing has been asked for `milliseconds`. */
  rest(milliseconds: number, afterwards: () => void): void {
    this.#timer = setTimeout(afterwards, milliseconds).unref();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#worker.terminate();
  }
}

function failure(cause: Error): PolyllamaError {
  const missing = "code" in cause && /^(ERR_)?MODULE_NOT_FOUND$/.test(String(cause.code));
  const remedy = missing
    ? "A bundle does not contain this file: leave @polyllama/checkpoints out of it (`external`), or copy the file beside it."
    : "`threads: 1` does without threads.";
  return new PolyllamaError("ERR_BACKEND", `A quantizing thread failed: ${cause.message}. ${remedy}`, { cause });
}

function startWorker(): Worker {
  const source = import.meta.url.endsWith(".ts");
  const name = `./worker.${source ? "ts" : "js"}`; // apart, lest bundlers take it for a worker of theirs
  const entry = new URL(name, import.meta.url);
  if (!source) return new Worker(entry, { execArgv: [] });
  // Node needs a loader for TypeScript, which a worker has to register by itself.
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx/package.json"));
  const start = `import("${new URL("dist/esm/api/index.mjs", tsx)}").then(({ register }) => (register(), import("${entry}")))`;
  return new Worker(start, { eval: true, execArgv: ["--conditions=@polyllama/source"] });
}
