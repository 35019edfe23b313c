// What fine-tuning on dialogues and Ghost Attention have in common: the base and its format, and dialogues that fit into
// a sequence.

import { type ChatTemplateName, chatTemplateNames, type Tokenizer } from "@polyllama/core";
import type { DialogueFormat, Example, Recipe } from "@polyllama/training";
import { type Command, Option } from "commander";
import { type Checkpoint, PolyllamaError } from "polyllama";
import { UsageError } from "../exit.ts";
import { count, plural } from "../format.ts";
import { openModel } from "../load.ts";
import { locations } from "../options.ts";
import { note } from "../terminal.ts";
import { chatModel } from "./models.ts";
import { cutOf, type TrainingFlags } from "./options.ts";
import type { Prepared } from "./run.ts";

/** Options that both have. */
export interface ChatTrainingFlags extends TrainingFlags {
  readonly model: string;
  readonly tokenizer?: string;
  readonly template?: ChatTemplateName;
  readonly format?: DialogueFormat;
  readonly allowMarkers?: boolean;
  readonly skipLong?: boolean;
}

/** Adds them. */
export function addChatTraining(command: Command): Command {
  return command
    .requiredOption("-m, --model <location>", `checkpoint to begin with: ${locations}`)
    .option("--tokenizer <path>", "tokenizer, or folder with one, for models that come without one")
    .addOption(
      new Option("--template <name>", "chat format (default: the model's, else llama-2)").choices(chatTemplateNames),
    )
    .addOption(
      new Option("--format <name>", "format of dialogues (default: what each line's fields tell)").choices([
        "openai",
        "sharegpt",
        "alpaca",
      ]),
    )
    .option("--allow-markers", "allow the chat format's markers, such as [INST], in messages")
    .option("--skip-long", "leave out dialogues that are longer than a sequence");
}

/** A base that is open. Disposing it closes its files. */
export interface Base extends AsyncDisposable {
  readonly model: Checkpoint;
  readonly template: ChatTemplateName;
  readonly tokenizer: Tokenizer;
}

/** Opens the base. */
export async function baseOf(flags: ChatTrainingFlags, signal: AbortSignal): Promise<Base> {
  const { tokenizer, json = false } = flags;
  const opened = await openModel(flags.model, { json, ...(tokenizer !== undefined && { tokenizer }) }, signal);
  try {
    if (opened.tokenizer === undefined) {
      throw new PolyllamaError("ERR_TOKENIZER", `${opened.name} has no tokenizer; give --tokenizer.`);
    }
    const { model, template } = await chatModel(opened, flags.template);
    const close = () => opened[Symbol.asyncDispose]();
    return { model, template, tokenizer: opened.tokenizer, [Symbol.asyncDispose]: close };
  } catch (error) {
    await opened[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * The examples that fit into a sequence.
 *
 * @param examples With their places, for people.
 * @throws {UsageError} for one that does not, unless such are left out.
 */
export function fitting(
  examples: readonly (readonly [Example, string])[],
  flags: ChatTrainingFlags,
  recipe: Recipe,
  { config }: Checkpoint,
): readonly Example[] {
  const { length } = cutOf(flags, recipe, config.contextLength);
  const isLong = ({ ids }: Example): boolean => ids.length - 1 > length;
  const long = examples.filter(([example]) => isLong(example));
  const [first] = long;
  if (first !== undefined && !flags.skipLong) {
    const [{ ids }, place] = first;
    const much = `${count(ids.length - 1)} tokens, and a sequence has ${count(length)}`;
    throw new UsageError(
      `${place}: the dialogue has ${much}; give a larger --length, or leave such out with --skip-long`,
    );
  }
  if (long.length > 0) note(`${plural(long.length, "dialogue")} longer than ${count(length)} tokens left out`);
  return examples.flatMap(([example]) => (isLong(example) ? [] : [example]));
}

/** An answer to a message. */
export function chatSample(template: ChatTemplateName): Prepared["sample"] {
  return async (llama, content, maxTokens, signal) => {
    const options = { template, maxTokens, temperature: 0, ...(signal && { signal }) };
    const { text } = await llama.completeChat([{ role: "user", content }], options);
    return ` -> ${text.trim()}`;
  };
}
