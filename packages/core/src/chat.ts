// Llama 2's chat format.

import { PolyllamaError } from "./errors.ts";
import type { Tokenizer } from "./tokenizer/tokenizer.ts";

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

export interface ChatFormatOptions {
  /** Allow `[INST]`, `[/INST]`, `<<SYS>>` and `<</SYS>>` within contents. Default false. */
  readonly allowMarkers?: boolean;
}

export function encodeChat(
  _tokenizer: Tokenizer,
  _messages: readonly ChatMessage[],
  _options: ChatFormatOptions = {},
): number[] {
  throw new PolyllamaError("ERR_CHAT", "Not built yet.");
}

export function renderChat(_messages: readonly ChatMessage[], _options: ChatFormatOptions = {}): string {
  throw new PolyllamaError("ERR_CHAT", "Not built yet.");
}
