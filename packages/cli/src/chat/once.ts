// `polyllama chat --json`: one turn from standard input, as one object.

import { type ChatMessage, PolyllamaError } from "polyllama";
import { UsageError } from "../exit.ts";
import { printJson } from "../terminal.ts";
import { decodeText, readStandardInput, withoutLastBreak } from "../text-input.ts";
import { answer, type TurnContext, type TurnOptions } from "./turn.ts";

/** Reads a text, which is one message of the user, or a list of messages in JSON; prints the answer. */
export async function answerOnce(
  context: TurnContext,
  system: string | undefined,
  options: TurnOptions,
): Promise<void> {
  const { model, interrupts } = context;
  const text = decodeText(await readStandardInput(interrupts.signal, "the message", { json: true }), "standard input");
  const conversation = withSystem(parseMessages(text) ?? [{ role: "user", content: withoutLastBreak(text) }], system);
  const listener = { write: () => undefined, wantsPromptIds: true, json: true };
  const { dropped, promptIds, result } = await answer(context, conversation, options, listener);
  const { llama, backend } = model;
  printJson({
    backend: backend.name,
    device: backend.describe().device,
    model: llama.checkpoint.name,
    promptIds,
    ids: result.pieces.map(({ id }) => id),
    text: result.text,
    finish: result.finish,
    dropped,
    seed: options.seed,
    timings: { loadSeconds: llama.loadSeconds, ...result.timings },
  });
  if (result.exit !== undefined) throw result.exit;
}

const messageFields = ["role", "content", "name", "tool_calls", "tool_call_id"];

/**
 * A list of objects in JSON; anything else is a text.
 *
 * @throws {PolyllamaError} `ERR_CHAT` for objects that are no messages
 */
export function parseMessages(text: string): readonly ChatMessage[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value) || value.length === 0) return undefined;
  if (!value.every((entry) => typeof entry === "object" && entry !== null && !Array.isArray(entry))) return undefined;
  return value.map((entry: Readonly<Record<string, unknown>>, index) => {
    const { role, content } = entry;
    const unknown = Object.keys(entry).find((name) => !messageFields.includes(name));
    if (unknown !== undefined)
      throw new PolyllamaError("ERR_CHAT", `Message ${index} has an unknown field "${unknown}".`);
    // Which roles there are is for the chat format to say.
    if (typeof role === "string" && typeof content === "string") return { ...entry, role, content };
    const expected = 'a message is {"role": "system", "user", "assistant" or another, "content": text}';
    throw new PolyllamaError("ERR_CHAT", `Message ${index} of the list is not one: ${expected}.`);
  });
}

function withSystem(messages: readonly ChatMessage[], system: string | undefined): readonly ChatMessage[] {
  if (system === undefined) return messages;
  if (messages[0]?.role !== "system") return [{ role: "system", content: system }, ...messages];
  throw new UsageError("--system is given, and the list of messages begins with a system message; leave one out");
}
