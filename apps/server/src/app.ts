// What the server answers: text as server-sent events, or whole as JSON, each request in a sequence of its own. A
// request that its client leaves is aborted.

import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { cors } from "hono/cors";
import { HTTPException } from "hono/http-exception";
import { streamSSE } from "hono/streaming";
import { type Llama, PolyllamaError, type Sequence } from "polyllama";
import { type Body, checkRequest, describe, formatOf, parseBody } from "./request.ts";
import { sequencePool } from "./sequence-pool.ts";

export interface AppOptions {
  /** How many requests are answered at once. */
  readonly parallel: number;
  /** The address that is listened on. */
  readonly host: string;
  /** The origin whose pages may ask; none where it is left out. */
  readonly cors?: string;
}

export function createApp(llama: Llama, options: AppOptions): Hono {
  const sequences = sequencePool(llama, options.parallel);
  const app = new Hono();
  // Before all that refuses, so that an allowed page can read why.
  if (options.cors !== undefined) app.use(cors({ origin: options.cors }));
  app.use(checkRequest(options.host));
  app.get("/health", (context) =>
    context.json({ status: "ok", model: llama.checkpoint.name, backend: llama.backend.name }),
  );
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
      pieces = answer(llama, body, { signal, sequence });
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
  return app;
}

function answer(
  llama: Llama,
  { prompt, messages, ...rest }: Body,
  own: { readonly signal: AbortSignal; readonly sequence: Sequence },
) {
  const given = { maxTokens: 256, ...rest, ...own };
  return prompt === undefined ? llama.chat(messages ?? [], given) : llama.generate(prompt, given);
}
