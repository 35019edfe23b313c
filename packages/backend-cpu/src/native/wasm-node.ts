// Where the engine in WebAssembly finds its files and threads in Node: for tests, and where there are no native kernels.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { PolyllamaError } from "@polyllama/core";
import { libraryFolder } from "./library.ts";
import type { WasmHost } from "./wasm-engine.ts";
import { serveThread } from "./wasm-thread.ts";

/** A loader of TypeScript may have put `__name` into the text. */
const program = `const __name = (value) => value;
const { parentPort } = require("node:worker_threads");
parentPort.on("message", (${serveThread.toString()})(() => parentPort.postMessage(undefined)));`;

export const wasmNode: WasmHost = {
  async compile(build) {
    const path = join(libraryFolder, `${build}.wasm`);
    try {
      return await WebAssembly.compile(await readFile(path));
    } catch (cause) {
      throw new PolyllamaError("ERR_BACKEND", `The kernels at ${path} cannot be read. Install the package again.`, {
        cause,
      });
    }
  },
  startThread(answered, failed) {
    const worker = new Worker(program, { eval: true, execArgv: [] });
    worker.on("message", answered);
    worker.on("error", (error) => failed(error instanceof Error ? error.message : String(error)));
    worker.on("exit", () => failed("it ended"));
    return {
      post: (message) => worker.postMessage(message),
      keepAlive(wanted) {
        if (wanted) worker.ref();
        else worker.unref();
      },
      stop: () => void worker.terminate(),
    };
  },
};
