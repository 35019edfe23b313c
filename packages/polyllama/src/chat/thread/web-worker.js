// The worker that renders templates, in pages. It is written in JavaScript because its name must be the same in sources
// and in the built package: bundlers look for the file by the name that stands in start-browser.ts.

import { serveRendering } from "./serve.ts";

serveRendering({
  postMessage: (answer) => globalThis.postMessage(answer),
  onRequest: (listener) => globalThis.addEventListener("message", ({ data }) => listener(data)),
});
