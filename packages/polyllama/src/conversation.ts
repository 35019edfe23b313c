// Context shift: what of a conversation is kept when it outgrows the model's context. The oldest turns leave in pairs,
// question and answer; the system message stays. Several pairs leave at once, since every change at the beginning makes
// the model read what remains anew.

import { ContextOverflowError, checkNumber, checkOptions, type OptionSchema, option } from "@polyllama/core";
import { checkMessages } from "./arguments.ts";
import type { ChatMessage, RenderChatOptions } from "./chat/prompt.ts";
import type { Llama } from "./llama.ts";
import { renderChatOptionTypes } from "./options.ts";

/** How a conversation is made to fit. */
export interface FitOptions extends RenderChatOptions {
  /** Tokens to keep free for the answer. Default: a quarter of the context. */
  readonly room?: number;
}

const fitOptionTypes: OptionSchema<FitOptions> = {
  room: option.integer({ least: 0 }),
  ...renderChatOptionTypes,
};

/** What is left of a conversation. */
export interface FittedConversation {
  /** The system message, where there is one, and the latest turns. */
  readonly messages: readonly ChatMessage[];
  /** How many of the oldest messages left. */
  readonly dropped: number;
  /** Tokens of `messages` in the chat format. */
  readonly promptTokens: number;
}

/**
 * The part of a conversation that fits the model's context with `room` tokens for an answer. Where not all of it does,
 * oldest turns leave until half of the context is free, or `room` where that is more, so that the next turns fit
 * without leaving others out. The last message always stays, also where it leaves less than `room`.
 *
 * @throws {PolyllamaError} `ERR_OPTION`, `ERR_CHAT`; {@link ContextOverflowError} where the last message alone does not
 * fit.
 */
export async function fitConversation(
  llama: Llama,
  messages: readonly ChatMessage[],
  options: FitOptions = {},
): Promise<FittedConversation> {
  checkMessages(messages, "fitConversation()");
  checkOptions(options, fitOptionTypes, "fitConversation()");
  const { contextLength } = llama;
  const { room = Math.floor(contextLength / 4), ...format } = options;
  checkNumber(room, "room", { least: 0, most: contextLength, integer: true });
  const count = async (kept: readonly ChatMessage[]): Promise<number> =>
    (await llama.renderChat(kept, format)).ids.length;

  let promptTokens = await count(messages);
  if (promptTokens + room <= contextLength) return { messages, dropped: 0, promptTokens };
  const system = messages[0]?.role === "system" ? messages.slice(0, 1) : [];
  const most = contextLength - Math.max(room, Math.floor(contextLength / 2));
  const first = system.length;
  let start = first;
  let kept: readonly ChatMessage[] = messages;
  while (promptTokens > most && start + 2 < messages.length) {
    start += 2;
    kept = [...system, ...messages.slice(start)];
    promptTokens = await count(kept);
  }
  if (promptTokens > contextLength) {
    const remedy = "The last message alone is longer than the context; shorten it, or load with a longer context.";
    throw new ContextOverflowError(promptTokens, contextLength, remedy);
  }
  return { messages: kept, dropped: start - first, promptTokens };
}
