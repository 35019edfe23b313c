// Two checkpoints side by side, as @polyllama/checkpoints compares them; and chat templates by what they render, since
// makers and converters rewrite them in ways that change no prompt. A fixed set of conversations stands for all: what
// templates commonly treat apart is in it.

import {
  type Checkpoint,
  type CompareOptions,
  type Comparison,
  compareCheckpoints as compareStored,
  type TextDifference,
} from "@polyllama/checkpoints";
import { PolyllamaError, type Tokenizer } from "@polyllama/core";
import { ChatTemplateError } from "./chat/error.ts";
import { type ChatMessage, prepareChat, type RenderChatOptions } from "./chat/prompt.ts";

/**
 * Compares two checkpoints: their tensors, whatever files and formats they are in, their configurations, and what they
 * mean to text. Chat templates of different text that render a set of conversations alike are no difference.
 *
 * @throws {CheckpointError} when one cannot be read; `OptionError`; the signal's reason.
 */
export async function compareCheckpoints(
  a: Checkpoint,
  b: Checkpoint,
  options: CompareOptions = {},
): Promise<Comparison> {
  const comparison = await compareStored(a, b, options);
  const text: TextDifference[] = [];
  for (const difference of comparison.text) text.push(await withRendering(a, difference, options.signal));
  const { tensors, config } = comparison;
  const agrees =
    tensors.every((tensor) => tensor.agrees) && config.length === 0 && text.every(({ rendersAlike }) => rendersAlike);
  return { ...comparison, text, agrees };
}

async function withRendering(
  checkpoint: Checkpoint,
  difference: TextDifference,
  signal: AbortSignal | undefined,
): Promise<TextDifference> {
  const { field, values } = difference;
  const [first, second] = values;
  const { tokenizer } = checkpoint;
  if (!field.startsWith("chatTemplate") || tokenizer === undefined) return difference;
  if (typeof first !== "string" || typeof second !== "string") return difference;
  let rendered = 0;
  for (const conversation of conversations) {
    const texts: (string | symbol | undefined)[] = [];
    for (const jinja of [first, second]) texts.push(await render(checkpoint, tokenizer, jinja, conversation, signal));
    if (texts[0] !== texts[1]) return { ...difference, rendersAlike: false };
    if (texts[0] !== undefined) rendered++;
  }
  return { ...difference, rendersAlike: rendered > 0 };
}

interface Conversation {
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly object[];
}

/** Undefined where the template takes no such conversation; a symbol, equal to nothing, where that is not known. */
async function render(
  checkpoint: Checkpoint,
  tokenizer: Tokenizer,
  jinja: string,
  { messages, tools }: Conversation,
  signal: AbortSignal | undefined,
): Promise<string | symbol | undefined> {
  const options: RenderChatOptions = { template: { jinja }, ...(tools && { tools }), ...(signal && { signal }) };
  try {
    const prepared = prepareChat(checkpoint, tokenizer, messages, options);
    return (typeof prepared === "function" ? await prepared() : prepared).text;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof ChatTemplateError && error.kind !== "raised" && error.kind !== "failed") return Symbol();
    if (error instanceof PolyllamaError) return undefined;
    throw error;
  }
}

const user = (content: string): ChatMessage => ({ role: "user", content });
const assistant = (content: string): ChatMessage => ({ role: "assistant", content });
const system: ChatMessage = { role: "system", content: "Be brief." };
const weather = {
  type: "function",
  function: {
    name: "weather",
    description: "Tells the weather.",
    parameters: { type: "object", properties: { place: { type: "string" } }, required: ["place"] },
  },
};

const conversations: readonly Conversation[] = [
  { messages: [user("Hello")] },
  { messages: [system, user("Hello")] },
  { messages: [user("One?"), assistant("Two."), user("Three?")] },
  { messages: [system, user("One?"), assistant("Two."), user("Three?"), assistant("Four."), user("Five?")] },
  { messages: [system, user("  white\n space\n"), assistant(" around \n"), user("\n\t ")] },
  { messages: [user("床前明月光"), assistant("疑是地上霜"), user("{{ bos_token }} 'quoted' \"twice\" <b>")] },
  { messages: [user("")] },
  { messages: [user("Is it raining?")], tools: [weather] },
  { messages: [system, user("Is it raining?"), assistant("Where?"), user("Here")], tools: [weather] },
];
