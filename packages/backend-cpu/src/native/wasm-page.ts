// Where the engine in WebAssembly finds its files and threads in a page, or in a worker of one. Threads are there where
// the page is cross-origin isolated, as memory cannot be shared elsewhere.

import { PolyllamaError } from "@polyllama/core";
import type { WasmHost } from "./wasm-engine.ts";

// Written out, so that bundlers see that these files belong to the program.
const files = {
  wasm32: (): URL => new URL("../../libraries/wasm32.wasm", import.meta.url),
  "wasm32-threads": (): URL => new URL("../../libraries/wasm32-threads.wasm", import.meta.url),
};

async function compile(build: keyof typeof files): Promise<WebAssembly.Module> {
  const url = files[build]();
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    return await WebAssembly.compile(await response.arrayBuffer());
  } catch (cause) {
    throw new PolyllamaError(
      "ERR_BACKEND",
      `The cpu backend cannot fetch its kernels from ${url}: ${cause instanceof Error ? cause.message : String(cause)}. ` +
        "The bundle has to contain the .wasm files of @polyllama/backend-cpu/libraries.",
      { cause },
    );
  }
}

const startThread: NonNullable<WasmHost["startThread"]> = (answered, failed) => {
  const worker = new Worker(new URL("./wasm-worker.js", import.meta.url), { type: "module" });
  worker.addEventListener("message", answered);
  worker.addEventListener("messageerror", () => failed("a message could not be read"));
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    failed(event.message || "its file could not be loaded; the bundle has to contain wasm-worker.js of the backend");
  });
  return {
    post: (message) => worker.postMessage(message),
    keepAlive() {},
    stop: () => worker.terminate(),
  };
};

/** The host of a page. */
export function wasmPage(): WasmHost {
  const isolated = globalThis.crossOriginIsolated === true && typeof Worker !== "undefined";
  return isolated ? { compile, startThread } : { compile };
}
