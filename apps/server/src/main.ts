// A small HTTP endpoint: POST a prompt, or the messages of a chat, and read the text as server-sent events, or whole as
// JSON. Several requests are answered at once, each in a sequence of its own; a request that its client leaves is
// aborted.

import { serve } from "@hono/node-server";
import { type Device, Llama, PolyllamaError } from "polyllama";
import { createApp } from "./app.ts";
import { readOptions } from "./options.ts";

const backends: Readonly<Record<string, () => Promise<Device>>> = {
  cpu: async () => (await import("@polyllama/backend-cpu")).cpu(),
  onnxruntime: async () => (await import("@polyllama/backend-onnxruntime")).onnxruntime(),
  webgpu: async () => (await import("@polyllama/backend-webgpu")).webgpu(),
  cuda: async () => (await import("@polyllama/backend-cuda")).cuda(),
};
const options = readOptions(process.argv.slice(2), Object.keys(backends));
if ("text" in options) {
  (options.code === 0 ? process.stdout : process.stderr).write(options.text);
  process.exit(options.code);
}
const backend = await backends[options.backend]!().catch(refused); // one of those that were given
const llama = await Llama.load(options.model, { backend }).catch(refused);
const { host: hostname, port } = options;
const server = serve({ fetch: createApp(llama, options).fetch, hostname, port }, (address) =>
  console.log(`${llama.checkpoint.name} on ${llama.backend.name}: POST http://${hostname}:${address.port}/generate`),
);
server.on("error", (error) => fail(`${error.message}; choose another port with --port`));
/** Milliseconds that clients have, when the program ends, to take what was written for them. */
const patience = 2000;
process.once("SIGINT", async () => {
  const closed = new Promise((resolve) => server.close(resolve));
  await llama.dispose(); // ends what is being answered
  await backend[Symbol.asyncDispose]();
  const cut = setTimeout(() => {
    // of clients that do not read, or do not finish asking
    if ("closeAllConnections" in server) server.closeAllConnections();
  }, patience);
  await closed;
  clearTimeout(cut);
});

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}

function refused(error: unknown): never {
  if (error instanceof PolyllamaError) fail(error.message);
  throw error;
}
