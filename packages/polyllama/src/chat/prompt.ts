// A conversation as tokens. Formats that run in code put their control tokens as ids; a template's text is encoded as
// transformers encodes it, with names of control tokens read where the template wrote them, and as text where a message
// did.

import type { Checkpoint } from "@polyllama/checkpoints";
import {
  type ChatMessage as CodeChatMessage,
  encodeChat,
  OptionError,
  PolyllamaError,
  renderChat,
  type Tokenizer,
  unusedCharacter,
} from "@polyllama/core";
import { type ChosenFormat, chooseFormat } from "./format.ts";
import { marked, withoutMarks } from "./marking.ts";
import type { ChatTemplate } from "./named.ts";
import { renderJinja } from "./renderer.ts";

/**
 * A message of a conversation. Which roles there are is for the chat format to say; those of Llama 2's are system, user
 * and assistant.
 */
export interface ChatMessage extends CodeChatMessage {
  readonly name?: string;
  /** Of an assistant: what it called, in the form that its template expects. */
  readonly tool_calls?: readonly unknown[];
  readonly tool_call_id?: string;
}

/** Options of `Llama.renderChat`. */
export interface RenderChatOptions {
  /** The chat format. Default: the checkpoint's own, with `tools` the one named `tool_use` where it has that. */
  readonly template?: ChatTemplate;
  /**
   * Take what spells a control token within messages, such as `</s>`, as that token, and in Llama 2's format accept
   * `[INST]` and `<<SYS>>`. Default false: whoever writes a content could otherwise pretend to be somebody else.
   */
  readonly allowMarkers?: boolean;
  /** What the model may call, in the form that its template expects; for formats in Jinja. */
  readonly tools?: readonly object[];
  /** What the model may look up, likewise. */
  readonly documents?: readonly object[];
  readonly signal?: AbortSignal;
}

/** A conversation as the model reads it, up to the place where the assistant answers. */
export interface ChatPrompt {
  /** For reading; control tokens are shown by name. */
  readonly text: string;
  readonly ids: readonly number[];
}

/** A prompt that is there, or one that takes a worker. */
export type PreparedPrompt = ChatPrompt | (() => Promise<ChatPrompt>);

/**
 * Chooses the format, and checks what can be checked without rendering a template.
 *
 * @throws {PolyllamaError} `ERR_CHAT`; {@link OptionError}
 */
export function prepareChat(
  checkpoint: Checkpoint,
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  options: RenderChatOptions,
): PreparedPrompt {
  const format = chooseFormat(checkpoint, tokenizer, options.template, options.tools !== undefined);
  if (format.code === undefined) {
    checkRoles(messages);
    return () => renderTemplate(checkpoint, tokenizer, format, messages, options);
  }
  for (const name of ["tools", "documents"] as const) {
    if (options[name] === undefined) continue;
    const message = `The chat format ${format.code} knows no ${name}; leave the option out, or give a template that does.`;
    throw new OptionError(message, { option: name, expected: "undefined", value: options[name] });
  }
  const { allowMarkers = false } = options;
  const settings = { template: format.code, allowMarkers };
  return {
    ids: encodeChat(tokenizer, messages, settings),
    text: renderChat(messages, settings),
  };
}

function checkRoles(messages: readonly ChatMessage[]): void {
  if (messages.length === 0) throw new PolyllamaError("ERR_CHAT", "The conversation has no messages.");
  for (const [index, { role }] of messages.entries()) {
    if (/^[\p{L}\p{N}_. -]{1,64}$/u.test(role)) continue;
    const rule = "a role is a word of at most 64 letters, digits, spaces, dots, dashes and underscores";
    throw new PolyllamaError(
      "ERR_CHAT",
      `Message ${index} has the role ${JSON.stringify(role.slice(0, 80))}, but ${rule}.`,
    );
  }
}

async function renderTemplate(
  checkpoint: Checkpoint,
  tokenizer: Tokenizer,
  format: ChosenFormat,
  messages: readonly ChatMessage[],
  { allowMarkers = false, tools, documents, signal }: RenderChatOptions,
): Promise<ChatPrompt> {
  const given = { messages, tools: tools ?? null, documents: documents ?? null };
  const texts = JSON.stringify(given) + format.jinja;
  const mark = allowMarkers ? undefined : unusedCharacter(texts);
  if (!allowMarkers && mark === undefined) {
    throw new PolyllamaError("ERR_CHAT", "The messages have every character for private use; leave one of them out.");
  }
  const contents = mark === undefined ? given : (marked(given, mark) as typeof given);
  const variables = { ...specialTokens(checkpoint, tokenizer), ...contents, add_generation_prompt: true };
  const request = { template: format.jinja, variables, now: Date.now(), ...(mark !== undefined && { mark }) };
  const rendered = await renderJinja(request, signal);
  const { text, literal } =
    mark === undefined ? { text: rendered, literal: [] } : withoutMarks(rendered, mark, tokenNames(tokenizer));
  const ids = tokenizer.encode(text, { bos: false, eos: false, special: true, literal });
  // transformers adds nothing to a template's text; llama.cpp, and formats by name, have BOS where the checkpoint's
  // texts have it.
  const { bos } = tokenizer;
  const adds = (checkpoint.kind === "gguf" || !format.own) && checkpoint.text.addBos;
  if (!adds || bos === undefined || ids[0] === bos) return { text, ids };
  return { text: tokenizer.piece(bos) + text, ids: [bos, ...ids] };
}

const namesOf = new WeakMap<Tokenizer, readonly string[]>();

/** Names of all tokens that are found in text by name. */
function tokenNames(tokenizer: Tokenizer): readonly string[] {
  const known = namesOf.get(tokenizer);
  if (known !== undefined) return known;
  const names: string[] = [];
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    if (["control", "user-defined"].includes(tokenizer.kind(id))) names.push(tokenizer.piece(id));
  }
  namesOf.set(tokenizer, names);
  return names;
}

const tokenFields = ["unk_token", "pad_token", "sep_token", "cls_token", "mask_token"];

/** The names of special tokens that a template may use. */
function specialTokens({ kind, metadata }: Checkpoint, tokenizer: Tokenizer): Readonly<Record<string, string>> {
  const { bos, eos } = tokenizer;
  const config = metadata.get("tokenizer_config.json");
  const others = tokenFields.flatMap((name): [string, string][] => {
    const value: unknown =
      typeof config === "object" && config !== null && name in config ? Reflect.get(config, name) : undefined;
    const content: unknown = typeof value === "object" && value !== null && "content" in value ? value.content : value;
    return typeof content === "string" ? [[name, content]] : [];
  });
  // llama.cpp gives an empty text where there is no such token, transformers nothing.
  const empty = kind === "gguf" ? { bos_token: "", eos_token: "" } : {};
  return {
    ...empty,
    ...Object.fromEntries(others),
    ...(bos !== undefined && { bos_token: tokenizer.piece(bos) }),
    ...(eos !== undefined && { eos_token: tokenizer.piece(eos) }),
  };
}
