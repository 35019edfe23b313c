// A streaming HTTP endpoint: POST a prompt, or the messages of a chat, and read the text as server-sent events. A request that
// its client leaves is aborted; requests are answered one after another, as the model computes one sequence at a time here.
// Usage: main.ts [--backend cpu|webgpu|cuda] [--model MODEL] [--host HOST] [--port PORT]

import { parseArgs } from "node:util";
import { serve } from "@hono/node-server";
import { poet } from "@polyllama/model-poet";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import { streamSSE } from "hono/streaming";
import { type Backend, type ChatMessage, type ChatOptions, Llama, PolyllamaError } from "polyllama";

const backends: Readonly<Record<string, () => Promise<Backend>>> = {
  cpu: async () => (await import("@polyllama/backend-cpu")).cpu(),
  webgpu: async () => (await import("@polyllama/backend-webgpu")).webgpu(),
  cuda: async () => (await import("@polyllama/backend-cuda")).cuda(),
};
const { values: options } = parseArgs({
  options: {
    backend: { type: "string", default: "cpu" },
    model: { type: "string", default: poet },
    host: { type: "string", default: "127.0.0.1" },
    port: { type: "string", default: "8080" },
  },
});
const create = backends[options.backend];
if (create === undefined) throw new Error(`--backend is one of ${Object.keys(backends).join(", ")}`);
const backend = await create();
const llama = await Llama.load(options.model, { backend });

/** One event for each piece of text; what ends the text comes last, as `{"finish":"eos"}`. Options are those of `llama.generate`. */
interface Body extends Omit<ChatOptions, "signal" | "sequence" | "onProgress"> {
  readonly prompt?: string;
  readonly messages?: readonly ChatMessage[];
}

let turn = Promise.resolve();
const app = new Hono();
const limit = bodyLimit({
  maxSize: 2 ** 20,
  onError: (c) => c.json({ code: "ERR_REQUEST", error: "The request exceeds 1 MiB." }, 413, { connection: "close" }),
});
app.post("/generate", limit, async (context) => {
  const body: unknown = await context.req.json().catch(() => undefined);
  if (!isBody(body))
    throw new HTTPException(400, { message: "Send JSON with a text `prompt` or `messages` of role and content." });
  const { prompt, messages = [], ...rest } = body;
  const { signal } = context.req.raw; // aborted when the client leaves
  const given = { maxTokens: 256, ...rest, signal };
  // Wrong options and messages are refused here, before the answer begins.
  const pieces = prompt === undefined ? llama.chat(messages, given) : llama.generate(prompt, given);
  const previous = turn;
  let end = (): void => undefined;
  turn = new Promise<void>((resolve) => (end = resolve));
  return streamSSE(context, async (stream) => {
    try {
      await previous;
      for await (const { text, finish } of pieces) {
        if (text !== "") await stream.writeSSE({ data: JSON.stringify({ text }) });
        if (finish !== undefined) await stream.writeSSE({ data: JSON.stringify({ finish }) });
      }
    } catch (error) {
      if (signal.aborted) console.log("left by its client");
      else await stream.writeSSE({ event: "error", data: JSON.stringify(describe(error)) });
    } finally {
      end();
    }
  });
});
app.notFound((context) => context.json({ code: "ERR_ROUTE", error: "POST to /generate." }, 404));
app.onError((error, context) => {
  const status = error instanceof HTTPException ? error.status : error instanceof PolyllamaError ? 400 : 500;
  return context.json(describe(error), status);
});

function isBody(value: unknown): value is Body {
  if (typeof value !== "object" || value === null || "signal" in value || "sequence" in value) return false;
  if ("prompt" in value) return typeof value.prompt === "string" && !("messages" in value);
  const isMessage = (m: Partial<ChatMessage> | null) => typeof m?.role === "string" && typeof m.content === "string";
  return "messages" in value && Array.isArray(value.messages) && value.messages.every(isMessage);
}

function describe(error: unknown): { readonly code: string; readonly error: string } {
  const code =
    error instanceof PolyllamaError ? error.code : error instanceof HTTPException ? "ERR_REQUEST" : "ERR_SERVER";
  return { code, error: error instanceof Error ? error.message : String(error) };
}

const { host: hostname } = options;
const server = serve({ fetch: app.fetch, hostname, port: Number(options.port) }, ({ port }) =>
  console.log(`${llama.checkpoint.name} on ${backend.name}: POST http://${hostname}:${port}/generate`),
);
process.once("SIGINT", async () => {
  server.close();
  await llama.dispose();
  await backend[Symbol.asyncDispose]();
  process.exit(0);
});
