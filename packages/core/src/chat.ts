// Llama 2's chat format. The markers are ordinary text; only BOS and EOS, which frame every pair of turns, are tokens of
// their own, and they are put as ids so that nothing a user writes can become one. The system message is part of the
// first user turn.
// Source: "Llama 2: Open Foundation and Fine-Tuned Chat Models", appendix A.3.3; github.com/meta-llama/llama,
// llama/generation.py, chat_completion.

import { checkOptions, PolyllamaError } from "./errors.ts";
import type { Tokenizer } from "./tokenizer/tokenizer.ts";

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

export interface ChatFormatOptions {
  /**
   * Allow `[INST]`, `[/INST]`, `<<SYS>>` and `<</SYS>>` within contents. Default false: whoever writes a content could
   * otherwise pretend to be somebody else.
   */
  readonly allowMarkers?: boolean;
}

const markers = ["[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"];

/**
 * Token ids of a conversation, up to the place where the assistant answers: each pair of turns as BOS
 * `[INST] user [/INST] assistant ` EOS, the last turn without EOS.
 *
 * @throws {PolyllamaError} `ERR_CHAT` when messages, after an optional system message, do not alternate from user to
 * user, when a content has a marker of the format in it, or when the tokenizer lacks BOS or EOS.
 */
export function encodeChat(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  options: ChatFormatOptions = {},
): number[] {
  for (const name of ["bos", "eos"] as const) {
    if (tokenizer[name] !== undefined) continue;
    throw new PolyllamaError(
      "ERR_CHAT",
      `The chat format needs a ${name.toUpperCase()} token, and this tokenizer has none; prompt the model with text.`,
    );
  }
  return exchanges(messages, options).flatMap(({ text, answered }) =>
    tokenizer.encode(text, { bos: true, eos: answered, special: false }),
  );
}

/**
 * The conversation as text, with BOS and EOS shown as `<s>` and `</s>`. For reading: encode with {@link encodeChat}.
 *
 * @throws {PolyllamaError} `ERR_CHAT` as {@link encodeChat} does.
 */
export function renderChat(messages: readonly ChatMessage[], options: ChatFormatOptions = {}): string {
  return exchanges(messages, options)
    .map(({ text, answered }) => `<s>${text}${answered ? "</s>" : ""}`)
    .join("");
}

interface Exchange {
  readonly text: string;
  readonly answered: boolean;
}

function exchanges(messages: readonly ChatMessage[], options: ChatFormatOptions): Exchange[] {
  checkOptions(options, ["allowMarkers"], "chat format");
  const first = messages[0]?.role === "system" ? 1 : 0;
  for (const [index, message] of messages.entries()) checkMessage(message, index, first, options);
  if ((messages.length - first) % 2 === 0) {
    const reason = messages.length === first ? "there is no user message" : `message ${messages.length - 1} is not`;
    throw new PolyllamaError("ERR_CHAT", `A conversation ends with a message of the user, but ${reason}.`);
  }

  const result: Exchange[] = [];
  for (let index = first; index < messages.length; index += 2) {
    const system = index === 1 ? `<<SYS>>\n${messages[0]!.content}\n<</SYS>>\n\n` : "";
    const instruction = `[INST] ${strip(system + messages[index]!.content)} [/INST]`;
    const answer = messages[index + 1]?.content;
    const answered = answer !== undefined;
    result.push({ text: answered ? `${instruction} ${strip(answer)} ` : instruction, answered });
  }
  return result;
}

function checkMessage(message: ChatMessage, index: number, first: number, options: ChatFormatOptions): void {
  const expected = index < first ? "system" : (index - first) % 2 === 0 ? "user" : "assistant";
  if (message.role !== expected) {
    throw new PolyllamaError(
      "ERR_CHAT",
      `Message ${index} has the role "${message.role}" where "${expected}" is expected: after an optional system message, user and assistant take turns.`,
    );
  }
  if (typeof message.content !== "string") {
    throw new PolyllamaError("ERR_CHAT", `The content of message ${index} is not a string.`);
  }
  const marker = options.allowMarkers ? undefined : markers.find((marker) => message.content.includes(marker));
  if (marker !== undefined) {
    throw new PolyllamaError(
      "ERR_CHAT",
      `Message ${index} contains "${marker}", a marker of the chat format; remove it, or set allowMarkers if its author is trusted.`,
    );
  }
}

/** Python's `str.strip`, which Meta's code calls; JavaScript's `trim` has another idea of white space. */
function strip(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isSpace(code: number): boolean {
  if (code <= 0x20) return code === 0x20 || (code >= 0x09 && code <= 0x0d) || (code >= 0x1c && code <= 0x1f);
  if (code < 0x1680) return code === 0x85 || code === 0xa0;
  if (code >= 0x2000 && code <= 0x200a) return true;
  return [0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000].includes(code);
}
