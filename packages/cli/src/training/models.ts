// What training begins with: a new model of a configuration, or a checkpoint, and for chat models the template that they
// are trained on.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type ChatTemplateName, configFromHuggingFace, parseJson, textSetupOf } from "@polyllama/core";
import { poet } from "@polyllama/model-poet";
import { initialWeights } from "@polyllama/training";
import { type Checkpoint, chatFormatOf, readTokenizer } from "polyllama";
import { UsageError } from "../exit.ts";
import { note } from "../terminal.ts";
import { readTextFile } from "../text-input.ts";

/**
 * A model that has not learned anything yet.
 *
 * @param config Path of a `config.json` as Hugging Face has it; the size of the vocabulary may be left out.
 * @throws {UsageError} for a vocabulary of another size.
 */
export async function newModel(
  config: string,
  tokenizer: string,
  seed: number,
  signal: AbortSignal,
): Promise<Checkpoint> {
  const json = parseJson(await readTextFile(config), config);
  const declared = typeof json === "object" && json !== null && "vocab_size" in json ? json.vocab_size : undefined;
  const found = await readTokenizer(tokenizer, typeof declared === "number" ? declared : 32_000, signal);
  const { vocabSize } = found.tokenizer;
  const sizes = configFromHuggingFace({ vocab_size: vocabSize, ...(json as object | null) }, config);
  if (sizes.vocabSize !== vocabSize) {
    throw new UsageError(
      `${config} declares a vocab_size of ${sizes.vocabSize}, and ${tokenizer} has ${vocabSize} tokens; leave vocab_size out`,
    );
  }
  const { file, path } = found;
  const weights = initialWeights(sizes, seed);
  return {
    ...weights,
    kind: "synthetic",
    config: sizes,
    tokenizer: found.tokenizer,
    text: textSetupOf(found.tokenizer),
    notices: [],
    stored: [],
    metadata: found.vocabulary ?? new Map(),
    ...(file !== undefined && path !== undefined && { companions: new Map([[file, path]]) }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** A checkpoint that is trained to chat, and the format of its conversations. */
export interface ChatModel {
  readonly model: Checkpoint;
  readonly template: ChatTemplateName;
}

const trainable: readonly ChatTemplateName[] = ["llama-2", "chinese-alpaca-2", "chinese-alpaca"];

/**
 * The base with a chat template: its own, or the one that is asked for, by default Llama 2's, which then goes along.
 *
 * @throws {UsageError} for a base whose own template is none of those that training writes, unless one is asked for.
 */
export async function chatModel(base: Checkpoint, asked: ChatTemplateName | undefined): Promise<ChatModel> {
  const own = base.text.chatTemplate === undefined ? undefined : chatFormatOf(base).name;
  const template = asked ?? trainable.find((name) => name === own) ?? (own === undefined ? "llama-2" : undefined);
  if (template === undefined) {
    const names = trainable.join(", ");
    throw new UsageError(
      `${base.name} has a chat template of its own (${own}), in which training cannot mark answers; give --template with one of ${names}`,
    );
  }
  if (template === own) return { model: base, template };
  if (template !== "llama-2") {
    note(`The checkpoints will have no chat template; chat with them needs --template ${template}.`);
    return { model: base, template };
  }
  const path = join(poet, "chat_template.jinja"); // Llama 2's, written here
  const chatTemplate = { jinja: await readFile(path, "utf8"), from: "chat_template.jinja" };
  return {
    model: {
      ...base,
      text: { ...base.text, chatTemplate },
      companions: new Map([...(base.companions ?? []), ["chat_template.jinja", path]]),
    },
    template,
  };
}
