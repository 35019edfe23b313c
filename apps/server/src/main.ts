// A small HTTP endpoint: POST a prompt, or the messages of a chat, and read the text as server-sent events, or whole as JSON. Several
// requests are answered at once, each in a sequence of its own; a request that its client leaves is aborted.
// Usage: main.ts [--backend cpu|webgpu|cuda] [--model MODEL] [--parallel N] [--host HOST] [--port PORT] [--cors ORIGIN]

import { parseArgs } from "node:util";
import { serve } from "@hono/node-server";
import { poet } from "@polyllama/model-poet";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { cors } from "hono/cors";
import { HTTPException } from "hono/http-exception";
import { streamSSE } from "hono/streaming";
import { type Backend, Llama, PolyllamaError, type Sequence } from "polyllama";
import { type Body, checkRequest, describe, formatOf, parseBody } from "./request.ts";
import { sequencePool } from "./sequence-pool.ts";

const backends: Readonly<Record<string, () => Promise<Backend>>> = {
  cpu: async () => (await import("@polyllama/backend-cpu")).cpu(),
  webgpu: async () => (await import("@polyllama/backend-webgpu")).webgpu(),
  cuda: async () => (await import("@polyllama/backend-cuda")).cuda(),
};
const { values: options } = parseArgs({
  options: {
    backend: { type: "string", default: "cpu" },
    model: { type: "string", default: poet },
    parallel: { type: "string", default: "4" },
    host: { type: "string", default: "127.0.0.1" },
    port: { type: "string", default: "8080" },
    cors: { type: "string" },
  },
});
const create = backends[options.backend];
if (create === undefined) fail(`--backend is one of ${Object.keys(backends).join(", ")}`);
const parallel = Number(options.parallel);
if (!(Number.isInteger(parallel) && parallel > 0)) fail("--parallel is a number of sequences, at least 1");
const backend = await create().catch(refused);
const llama = await Llama.load(options.model, { backend }).catch(refused);
const sequences = sequencePool(llama, parallel);

const app = new Hono();
app.use(checkRequest(options.host));
if (options.cors !== undefined) app.use(cors({ origin: options.cors }));
app.get("/health", (context) => context.json({ status: "ok", model: llama.checkpoint.name, backend: backend.name }));
const limit = bodyLimit({
  maxSize: 2 ** 20,
  onError: (c) => c.json({ code: "ERR_REQUEST", error: "The request exceeds 1 MiB." }, 413, { connection: "close" }),
});
app.post("/generate", limit, async (context) => {
  const { stream: streaming = true, ...body } = parseBody(await context.req.json().catch(() => undefined));
  const { signal } = context.req.raw; // aborted when the client leaves
  const sequence = await sequences.take(signal);
  let pieces: ReturnType<typeof answer>;
  try {
    // Wrong options and messages are refused here, before the answer begins.
    pieces = answer(body, { signal, sequence });
    if (body.messages !== undefined) await llama.renderChat(body.messages, formatOf(body, signal));
  } catch (error) {
    sequences.giveBack(sequence);
    throw error;
  }
  if (!streaming) {
    const texts: string[] = [];
    let finish: string | undefined;
    try {
      for await (const piece of pieces) {
        texts.push(piece.text);
        finish = piece.finish;
      }
    } finally {
      sequences.giveBack(sequence);
    }
    return context.json({ text: texts.join(""), finish });
  }
  return streamSSE(context, async (stream) => {
    // Written beside the computing: a client that reads slowly, or not at all, holds nobody up.
    let written: Promise<unknown> = Promise.resolve();
    const send = (message: { readonly event?: string; readonly data: string }): void => {
      written = written.then(() => stream.writeSSE(message));
      written.catch(() => {}); // waited for below
    };
    try {
      for await (const { id, ...event } of pieces) {
        if (event.text === "" && event.finish === undefined && event.logprob === undefined) continue;
        send({ data: JSON.stringify(event) });
      }
    } catch (error) {
      if (signal.aborted) console.log("left by its client");
      else send({ event: "error", data: JSON.stringify(describe(error)) });
    } finally {
      sequences.giveBack(sequence);
    }
    await written;
  });
});
app.notFound((context) => context.json({ code: "ERR_ROUTE", error: "POST to /generate, or GET /health." }, 404));
app.onError((error, context) => {
  const status = error instanceof HTTPException ? error.status : error instanceof PolyllamaError ? 400 : 500;
  return context.json(describe(error), status);
});

function answer(
  { prompt, messages, ...rest }: Body,
  own: { readonly signal: AbortSignal; readonly sequence: Sequence },
) {
  const given = { maxTokens: 256, ...rest, ...own };
  return prompt === undefined ? llama.chat(messages ?? [], given) : llama.generate(prompt, given);
}

const { host: hostname } = options;
const server = serve({ fetch: app.fetch, hostname, port: Number(options.port) }, ({ port }) =>
  console.log(`${llama.checkpoint.name} on ${backend.name}: POST http://${hostname}:${port}/generate`),
);
server.on("error", (error) => fail(`${error.message}; choose another port with --port`));
process.once("SIGINT", async () => {
  const closed = new Promise((resolve) => server.close(resolve));
  await llama.dispose(); // ends what is being answered
  await backend[Symbol.asyncDispose]();
  await closed;
});

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}

function refused(error: unknown): never {
  if (error instanceof PolyllamaError) fail(error.message);
  throw error;
}
