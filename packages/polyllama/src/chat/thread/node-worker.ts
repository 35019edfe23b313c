// The worker that renders templates, in Node, Deno and Bun.

import { parentPort } from "node:worker_threads";
import { serveRendering } from "./serve.ts";

const port = parentPort;
if (port !== null) {
  serveRendering({
    postMessage: (answer) => port.postMessage(answer),
    onRequest: (listener) => port.on("message", listener),
  });
}
