// Starts the worker that renders templates, in a page or in a page's worker. The browser sets no limit of memory for
// it; what a template may make is counted (budget.ts), and its time is limited.

import type { RenderThread, startRenderThread as startInNode, ThreadListener } from "./start.ts";

export const startRenderThread: typeof startInNode = ({ answered, failed }: ThreadListener): RenderThread => {
  if (typeof Worker === "undefined") {
    queueMicrotask(() => failed("this place has no workers"));
    return { post() {}, keepAlive() {}, stop() {} };
  }
  const worker = new Worker(new URL("./web-worker.js", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data }) => answered(data));
  worker.addEventListener("messageerror", () => failed("a message could not be read"));
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    failed(event.message || "its file could not be loaded; the bundle has to contain polyllama's web-worker.js");
  });
  return {
    post: (request) => worker.postMessage(request),
    keepAlive() {},
    stop: () => worker.terminate(),
  };
};
