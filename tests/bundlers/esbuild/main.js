import { write } from "../write.js";

// esbuild leaves workers alone: the worker's file is an entry point of its own, and lies beside this one.
const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
write(worker).then(
  (result) => (document.title = JSON.stringify(result)),
  (error) => (document.title = JSON.stringify({ error: String(error) })),
);
