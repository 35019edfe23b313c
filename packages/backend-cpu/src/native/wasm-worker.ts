// The worker of a page that is a thread of the engine in WebAssembly.

import { serveThread, type ThreadMessage } from "./wasm-thread.ts";

const serve = serveThread(() => postMessage(undefined));
addEventListener("message", ({ data }: MessageEvent<ThreadMessage>) => serve(data));
