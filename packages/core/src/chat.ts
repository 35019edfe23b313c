// Llama 2's chat format, and those of the models that continue it. In Llama 2's the markers are ordinary text; only BOS
// and EOS, which frame every pair of turns, are tokens of their own, and they are put as ids so that nothing a user
// writes can become one. The system message is part of the first user turn.
// Source: "Llama 2: Open Foundation and Fine-Tuned Chat Models", appendix A.3.3; github.com/meta-llama/llama,
// llama/generation.py, chat_completion. Chinese-Alpaca: github.com/ymcui/Chinese-LLaMA-Alpaca and
// Chinese-LLaMA-Alpaca-2, scripts/inference/inference_hf.py.

import { PolyllamaError } from "./errors.ts";
import { type OptionSchema, option } from "./option-types.ts";
import { checkOptions } from "./options.ts";
import type { Tokenizer } from "./tokenizer/tokenizer.ts";

/** A message of a conversation. */
export interface ChatMessage {
  /** The formats here have system, user and assistant; checkpoints' own templates may have others. */
  readonly role: "system" | "user" | "assistant" | (string & {});
  readonly content: string;
}

/**
 * `llama-2`; `chinese-alpaca-2`, the same with a system message of its own where there is none; `chinese-alpaca`, the
 * first generation's, with headings in place of Llama 2's markers.
 */
export type ChatTemplateName = "llama-2" | "chinese-alpaca-2" | "chinese-alpaca";

/** How a conversation becomes tokens. */
export interface ChatFormatOptions {
  /** The format that the model was trained on. Default `llama-2`. */
  readonly template?: ChatTemplateName;
  /**
   * Allow the format's markers, such as `[INST]` and `<<SYS>>`, within contents. Default false: whoever writes a
   * content could otherwise pretend to be somebody else.
   */
  readonly allowMarkers?: boolean;
}

interface ChatTemplate {
  readonly markers: readonly string[];
  /** The system message where the conversation has none. */
  readonly system?: string;
  /** The text of a pair of turns; the answer is missing in the last one. */
  exchange(system: string | undefined, user: string, answer: string | undefined): string;
}

const llama2: ChatTemplate = {
  markers: ["[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"],
  exchange(system, user, answer) {
    const first = system === undefined ? "" : `<<SYS>>\n${system}\n<</SYS>>\n\n`;
    const instruction = `[INST] ${strip(first + user)} [/INST]`;
    return answer === undefined ? instruction : `${instruction} ${strip(answer)} `;
  },
};

const chatTemplates: Readonly<Record<ChatTemplateName, ChatTemplate>> = {
  "llama-2": llama2,
  "chinese-alpaca-2": { ...llama2, system: "You are a helpful assistant. 你是一个乐于助人的助手。" },
  "chinese-alpaca": {
    markers: ["### Instruction:", "### Response:"],
    system: "Below is an instruction that describes a task. Write a response that appropriately completes the request.",
    exchange(system, user, answer) {
      const first = system === undefined ? "" : `${strip(system)}\n\n`;
      const instruction = `${first}### Instruction:\n\n${strip(user)}\n\n### Response:\n\n`;
      return answer === undefined ? instruction : instruction + strip(answer);
    },
  },
};

/** The chat templates' names. */
// its own keys
export const chatTemplateNames: readonly ChatTemplateName[] = Object.keys(chatTemplates) as ChatTemplateName[];

/** What each option of {@link ChatFormatOptions} takes. */
export const chatFormatOptionTypes: OptionSchema<ChatFormatOptions> = {
  template: option.oneOf(chatTemplateNames),
  allowMarkers: option.boolean,
};

/**
 * Token ids of a conversation, up to the place where the assistant answers: each pair of turns as BOS
 * `[INST] user [/INST] assistant ` EOS, the last turn without EOS; see {@link ChatTemplateName} for other formats.
 *
 * @throws {PolyllamaError} `ERR_CHAT` when messages, after an optional system message, do not alternate from user to
 * user, when a content has a marker of the format in it, or when the tokenizer lacks BOS or EOS.
 */
export function encodeChat(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  options: ChatFormatOptions = {},
): number[] {
  checkFrame(tokenizer);
  return exchanges(messages, options, "user").flatMap(({ text, answered }) =>
    tokenizer.encode(text, { bos: true, eos: answered, special: false }),
  );
}

/** A pair of turns as tokens. */
export interface EncodedExchange {
  /** From BOS to the place where the assistant answers. */
  readonly prompt: readonly number[];
  /** The whole pair with the answer, from BOS to EOS, as {@link encodeChat} has it in longer conversations. */
  readonly ids: readonly number[];
}

/**
 * Token ids of a conversation whose every user turn is answered, pair by pair: for training, where it matters which
 * tokens are the answer's.
 *
 * @throws {PolyllamaError} `ERR_CHAT` as {@link encodeChat} does, and when the last message is the user's.
 */
export function encodeExchanges(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  options: ChatFormatOptions = {},
): EncodedExchange[] {
  checkFrame(tokenizer);
  return exchanges(messages, options, "assistant").map(({ prompt, text }) => ({
    prompt: tokenizer.encode(prompt, { bos: true, eos: false, special: false }),
    ids: tokenizer.encode(text, { bos: true, eos: true, special: false }),
  }));
}

function checkFrame(tokenizer: Tokenizer): void {
  for (const name of ["bos", "eos"] as const) {
    if (tokenizer[name] !== undefined) continue;
    throw new PolyllamaError(
      "ERR_CHAT",
      `The chat format needs a ${name.toUpperCase()} token, and this tokenizer has none; prompt the model with text.`,
    );
  }
}

/**
 * The conversation as text, with BOS and EOS shown as `<s>` and `</s>`. For reading: encode with {@link encodeChat}.
 *
 * @throws {PolyllamaError} `ERR_CHAT` as {@link encodeChat} does.
 */
export function renderChat(messages: readonly ChatMessage[], options: ChatFormatOptions = {}): string {
  return exchanges(messages, options, "user")
    .map(({ text, answered }) => `<s>${text}${answered ? "</s>" : ""}`)
    .join("");
}

interface Exchange {
  /** Up to the answer. */
  readonly prompt: string;
  readonly text: string;
  readonly answered: boolean;
}

function exchanges(
  messages: readonly ChatMessage[],
  options: ChatFormatOptions,
  end: "user" | "assistant",
): Exchange[] {
  checkOptions(options, chatFormatOptionTypes, "chat format");
  const { template: name = "llama-2" } = options;
  const template = chatTemplates[name];
  const first = messages[0]?.role === "system" ? 1 : 0;
  const markers = options.allowMarkers ? [] : template.markers;
  for (const [index, message] of messages.entries()) checkMessage(message, index, first, markers);
  if (messages.length === first || (messages.length - first) % 2 !== (end === "user" ? 1 : 0)) {
    const reason = messages.length === first ? "there is no user message" : `message ${messages.length - 1} is not`;
    const what = end === "user" ? "A conversation" : "A conversation to train on";
    throw new PolyllamaError("ERR_CHAT", `${what} ends with a message of the ${end}, but ${reason}.`);
  }

  const result: Exchange[] = [];
  for (let index = first; index < messages.length; index += 2) {
    const system = index > first ? undefined : (messages[index - 1]?.content ?? template.system);
    const user = messages[index]!.content;
    const answer = messages[index + 1]?.content;
    result.push({
      prompt: template.exchange(system, user, undefined),
      text: template.exchange(system, user, answer),
      answered: answer !== undefined,
    });
  }
  return result;
}

function checkMessage(message: ChatMessage, index: number, first: number, markers: readonly string[]): void {
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
  const marker = markers.find((marker) => message.content.includes(marker));
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
