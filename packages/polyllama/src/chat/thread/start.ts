// Starts the worker that renders templates, in Node, Deno and Bun; browsers get start-browser.ts instead, by the
// package's `imports`.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import type { ThreadAnswer, ThreadRequest } from "./serve.ts";

export interface ThreadListener {
  answered(answer: ThreadAnswer): void;
  /** It failed or ended; nothing comes after that. */
  failed(reason: string): void;
}

export interface RenderThread {
  post(request: ThreadRequest): void;
  /** Whether the process waits for it; a page has no such thing. */
  keepAlive(wanted: boolean): void;
  stop(): void;
}

/** MiB that templates may take; Node ends a worker that takes more. */
const limits = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 24 };

export function startRenderThread(listener: ThreadListener): RenderThread {
  const worker = startWorker();
  worker.on("message", (answer: ThreadAnswer) => listener.answered(answer));
  worker.on("error", (error) => listener.failed(reasonOf(error)));
  worker.on("exit", () => listener.failed("it ended"));
  return {
    post: (request) => worker.postMessage(request),
    keepAlive(wanted) {
      if (wanted) worker.ref();
      else worker.unref();
    },
    stop: () => void worker.terminate(),
  };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const missing = "code" in error && error.code === "ERR_MODULE_NOT_FOUND";
  return missing
    ? `${error.message}; a bundle does not contain this file: leave polyllama out of it (\`external\`), or copy the file beside it`
    : error.message;
}

function startWorker(): Worker {
  const source = import.meta.url.endsWith(".ts");
  const name = `./node-worker.${source ? "ts" : "js"}`; // apart, lest bundlers take it for a worker of theirs
  const entry = new URL(name, import.meta.url);
  const readsTypeScript = "Deno" in globalThis || "Bun" in globalThis;
  if (!source || readsTypeScript) return new Worker(entry, { execArgv: [], resourceLimits: limits });
  // Node needs a loader for TypeScript, which a worker has to register by itself.
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx/package.json"));
  const start = `import("${new URL("dist/esm/api/index.mjs", tsx)}").then(({ register }) => (register(), import("${entry}")))`;
  return new Worker(start, { eval: true, execArgv: ["--conditions=@polyllama/source"], resourceLimits: limits });
}
