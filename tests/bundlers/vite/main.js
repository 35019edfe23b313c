import { write } from "../write.js";

// This very form of `new Worker` is what bundlers look for.
const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
write(worker).then(
  (result) => (document.title = JSON.stringify(result)),
  (error) => (document.title = JSON.stringify({ error: String(error) })),
);
