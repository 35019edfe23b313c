// The two ends of a worker as one thing, since Node's worker_threads tell of messages in another way than workers of
// pages, Bun and Deno do.

import { OptionError, PolyllamaError } from "@polyllama/core";

/** What messages go to, and come from. */
export interface Port {
  post(message: unknown): void;
  /** @returns what ends the listening. */
  listen(onMessage: (data: unknown) => void, onFailure: (reason: string) => void): () => void;
}

/** A worker of a page, Bun or Deno, or a `Worker` of `node:worker_threads`. */
export type AnyWorker = WebWorker | NodeWorker;

interface WebWorker {
  postMessage(message: unknown): void;
  addEventListener(type: string, listener: (event: Event) => void): void;
  removeEventListener(type: string, listener: (event: Event) => void): void;
}

interface NodeWorker {
  postMessage(message: unknown): void;
  on(type: string, listener: (value: unknown) => void): unknown;
  off(type: string, listener: (value: unknown) => void): unknown;
}

/** The page's end. @throws {OptionError} for what is no worker. */
export function portOf(worker: AnyWorker): Port {
  const given: unknown = worker;
  if (typeof given === "object" && given !== null && "postMessage" in given) {
    if ("addEventListener" in worker) return webPort(worker);
    if ("on" in worker) return nodePort(worker);
  }
  const message = "WorkerLlama.load: worker must be a Worker, of the page or of node:worker_threads.";
  throw new OptionError(message, { option: "worker", expected: "a Worker", value: worker });
}

/**
 * The worker's end: its global scope or, in Node, the port to its parent.
 *
 * @throws {PolyllamaError} outside a worker.
 */
export function parentPort(): Port {
  const threads = globalThis.process?.getBuiltinModule?.("node:worker_threads");
  if (threads?.parentPort) return nodePort(threads.parentPort);
  const scope: object = globalThis;
  if ("addEventListener" in scope && "postMessage" in scope) return webPort(scope as WebWorker); // it is one
  throw new PolyllamaError("ERR_UNSUPPORTED", "serveLlama() is for the file of a worker; call it there.");
}

function webPort(worker: WebWorker): Port {
  return {
    post: (message) => worker.postMessage(message),
    listen(onMessage, onFailure) {
      const receive = (event: object): void => {
        if ("data" in event) onMessage(event.data);
      };
      const fail = (event: Event): void => onFailure(reasonOf(event));
      worker.addEventListener("message", receive);
      for (const type of ["error", "messageerror"]) worker.addEventListener(type, fail);
      return () => {
        worker.removeEventListener("message", receive);
        for (const type of ["error", "messageerror"]) worker.removeEventListener(type, fail);
      };
    },
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

function nodePort(worker: NodeWorker): Port {
  return {
    post: (message) => worker.postMessage(message),
    listen(onMessage, onFailure) {
      const fail = (error: unknown): void =>
        onFailure(`${error instanceof Error ? error.message : String(error)}. Start another worker.`);
      const exit = (code: unknown): void => onFailure(`it ended with code ${String(code)}. Start another worker.`);
      worker.on("message", onMessage);
      for (const type of ["error", "messageerror"]) worker.on(type, fail);
      worker.on("exit", exit);
      return () => {
        worker.off("message", onMessage);
        for (const type of ["error", "messageerror"]) worker.off(type, fail);
        worker.off("exit", exit);
      };
    },
  };
}
