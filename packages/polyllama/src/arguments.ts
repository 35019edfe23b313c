// What a model's methods take beside their options: prompts, messages, token ids and names of values. All of it may
// come from a request's body, so that everything about it is checked before it is used.

import { checkValue, type Graph, nearestName, OptionError, type OptionType, option } from "@polyllama/core";
import type { Wanted } from "@polyllama/core/device";
import type { ChatMessage } from "./chat/prompt.ts";

const ids = option.list(option.integer({ least: 0 }), "a list of token ids");

const promptType: OptionType = {
  expected: "a string or a list of token ids",
  accepts: (value) => typeof value === "string" || ids.accepts(value),
  required: true,
  remedy(value) {
    if (Array.isArray(value) && value.some((each) => option.anyObject.accepts(each) && "role" in each)) {
      return "Messages are for chat().";
    }
    return ArrayBuffer.isView(value) ? "Make a list of it with Array.from()." : undefined;
  },
};

/** @throws {OptionError} for what is neither a text nor tokens of a vocabulary of that size. */
export function checkPrompt(prompt: string | readonly number[], vocabSize: number, where: string): void {
  checkValue(prompt, promptType, "prompt", where);
  if (typeof prompt === "string") return;
  if (prompt.length === 0) {
    const message = `${where}: the prompt has no tokens; start with the tokenizer's BOS token.`;
    throw new OptionError(message, { option: "prompt", expected: "one token or more", value: prompt });
  }
  checkVocabulary(prompt, vocabSize, "prompt", where);
}

/** @throws {OptionError} for what is no list of tokens of a vocabulary of that size. */
export function checkIds(given: readonly number[], vocabSize: number, name: string, where: string): void {
  const remedy = promptType.remedy!; // it has one
  checkValue(given, { ...ids, required: true, remedy }, name, where);
  checkVocabulary(given, vocabSize, name, where);
}

function checkVocabulary(given: readonly number[], vocabSize: number, option: string, where: string): void {
  const at = given.findIndex((id) => id >= vocabSize);
  if (at < 0) return;
  const expected = `token ids from 0 to ${vocabSize - 1}`;
  const message = `${where}: there is no token ${given[at]} (${option}[${at}]); the vocabulary has ids 0 to ${vocabSize - 1}.`;
  throw new OptionError(message, { option, expected, value: given[at] });
}

const messagesType: OptionType = {
  expected: "a list of messages",
  accepts: (value) => Array.isArray(value),
  required: true,
  remedy(value) {
    const message = '[{ role: "user", content: "..." }]';
    return typeof value === "string"
      ? `Send ${message}, or continue a text with complete() or generate().`
      : `Send ${message}.`;
  },
};

/**
 * Checks what messages are made of; whether they are a conversation is for the chat format to say.
 *
 * @throws {OptionError}
 */
export function checkMessages(messages: readonly ChatMessage[], where: string): void {
  checkValue(messages, messagesType, "messages", where);
  for (let index = 0; index < messages.length; index++) {
    const message: unknown = messages[index]; // holes of sparse lists too
    checkValue(message, { ...option.anyObject, required: true }, `messages[${index}]`, where);
    const { role, content } = message as Partial<ChatMessage>;
    checkValue(role, { ...option.string, required: true }, `messages[${index}].role`, where);
    checkValue(content, { ...option.string, required: true }, `messages[${index}].content`, where);
  }
}

const wantedType: OptionType = {
  expected: "a list of names of values",
  accepts: (value) => Array.isArray(value),
  required: true,
  remedy: (value) => (typeof value === "string" ? `Give a list: [${JSON.stringify(value)}].` : undefined),
};

/** @throws {OptionError} with the nearest name and those that there are. */
export function checkWanted(wanted: readonly Wanted[], graph: Graph, where: string): void {
  checkValue(wanted, wantedType, "wanted", where);
  for (const [index, each] of [...wanted.entries()]) {
    const place = `wanted[${index}]`;
    if (typeof each === "object" && each !== null) checkValue(each.rows, rowsType, `${place}.rows`, where);
    const name: unknown = typeof each === "object" && each !== null ? each.value : each;
    checkValue(name, { ...option.string, required: true }, place, where);
    if (typeof name !== "string" || graph.widths.has(name)) continue;
    const nearest = nearestName(name, [...graph.widths.keys()]);
    const hint = nearest === undefined ? "" : ` Did you mean "${nearest}"?`;
    const expected = `one of ${namesOf(graph)}`;
    const message = `${where}: the model has no value ${JSON.stringify(name)}.${hint} It has ${namesOf(graph)}.`;
    throw new OptionError(message, { option: place, expected, value: name });
  }
}

const rowsType: OptionType = { ...option.oneOf(["last"]), required: true };

/** The names of a graph's values, those of a layer once. */
function namesOf(graph: Graph): string {
  const names = [...graph.widths.keys()];
  const layers = new Set(names.flatMap((name) => /^layers\.\d+(?=\.)/.exec(name) ?? []));
  const common = names.filter((name) => !/^layers\.[1-9]/.test(name));
  return `${common.join(", ")}${layers.size > 1 ? `, and the same of layers.1 to layers.${layers.size - 1}` : ""}`;
}
