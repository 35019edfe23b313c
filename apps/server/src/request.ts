// What is asked, and by whom. Options are those of `llama.generate` and checked there; here it is only told apart what
// is no option.

import type { MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import { type ChatMessage, type ChatOptions, PolyllamaError, type RenderChatOptions } from "polyllama";

export interface Body extends Omit<ChatOptions, "signal" | "sequence" | "onProgress"> {
  readonly prompt?: string;
  readonly messages?: readonly ChatMessage[];
  /** Answer by events, as the text comes; default true. False: one JSON object at the end. */
  readonly stream?: boolean;
}

/** @throws {HTTPException} 400 */
export function parseBody(value: unknown): Body {
  if (isBody(value)) return value;
  throw new HTTPException(400, {
    message: "Send JSON with a text `prompt` or `messages` of role and content, and options beside it.",
  });
}

function isBody(value: unknown): value is Body {
  if (typeof value !== "object" || value === null) return false;
  if (["signal", "sequence", "onProgress"].some((name) => name in value)) return false;
  if ("stream" in value && typeof value.stream !== "boolean") return false;
  if ("prompt" in value) return typeof value.prompt === "string" && !("messages" in value);
  const isMessage = (m: Partial<ChatMessage> | null) => typeof m?.role === "string" && typeof m.content === "string";
  return "messages" in value && Array.isArray(value.messages) && value.messages.every(isMessage);
}

/** What of a request says how its messages become a prompt. */
export function formatOf({ template, allowMarkers, tools, documents }: Body, signal: AbortSignal): RenderChatOptions {
  return {
    signal,
    ...(template !== undefined && { template }),
    ...(allowMarkers !== undefined && { allowMarkers }),
    ...(tools !== undefined && { tools }),
    ...(documents !== undefined && { documents }),
  };
}

const loopback = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * Keeps other people's web pages out: they can reach a server on this machine, but cannot send JSON to it unless CORS
 * allows it, and a name of theirs that leads here stands in the Host header.
 */
export function checkRequest(host: string): MiddlewareHandler {
  const isLocal = loopback.has(host) || host === "::1";
  return async (context, next) => {
    const { hostname } = new URL(context.req.url);
    if (isLocal && !loopback.has(hostname)) {
      throw new HTTPException(403, { message: `This server answers on localhost, not as ${hostname}.` });
    }
    const type = context.req.header("content-type") ?? "";
    if (context.req.method === "POST" && !/^application\/json\s*(;|$)/i.test(type)) {
      throw new HTTPException(415, { message: "Send the header `content-type: application/json`." });
    }
    await next();
  };
}

export function describe(error: unknown): { readonly code: string; readonly error: string } {
  const code =
    error instanceof PolyllamaError ? error.code : error instanceof HTTPException ? "ERR_REQUEST" : "ERR_SERVER";
  return { code, error: error instanceof Error ? error.message : String(error) };
}
