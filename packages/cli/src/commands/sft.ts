// `polyllama sft`: supervised fine-tuning on dialogues, with a loss on their answers.

import type { ChatTemplateName, Tokenizer } from "@polyllama/core";
import { type Example, encodeDialogue, recipes } from "@polyllama/training";
import { type Command, Option } from "commander";
import type { Interrupts } from "../interrupts.ts";
import { addChatTraining, baseOf, type ChatTrainingFlags, chatSample, fitting } from "../training/chat.ts";
import { readDialogueFiles } from "../training/documents.ts";
import { addTrainingOptions } from "../training/options.ts";
import { train, trainingBackend } from "../training/run.ts";

interface Flags extends ChatTrainingFlags {
  readonly answers: "all" | "last";
}

export function addSft(program: Command, interrupts: Interrupts): void {
  const command = program
    .command("sft")
    .summary("Fine-tune a model on dialogues")
    .description(
      "Fine-tune a checkpoint on dialogues, with a loss on their answers alone and the paper's recipe where no option says " +
        "otherwise. Each line of the files is a dialogue in OpenAI's, ShareGPT's or Alpaca's format.",
    )
    .argument("<files...>", "dialogues in JSONL");
  addChatTraining(command).addOption(
    new Option("--answers <which>", "answers of a dialogue that count").choices(["all", "last"]).default("all"),
  );
  addTrainingOptions(command, "what the model is asked to answer").action((files: string[], flags: Flags) =>
    run(files, flags, interrupts),
  );
}

async function run(files: readonly string[], flags: Flags, interrupts: Interrupts): Promise<void> {
  await using base = await baseOf(flags, interrupts.signal);
  const { model, template, tokenizer } = base;
  const read = async (paths: readonly string[]): Promise<readonly Example[]> => {
    const examples: [Example, string][] = [];
    for await (const dialogue of readDialogueFiles(paths, flags.format, interrupts.signal)) {
      const { file, line } = dialogue.place;
      examples.push([encoded(tokenizer, dialogue, template, flags), `${file}, line ${line}`]);
    }
    return fitting(examples, flags, recipes.sft, model);
  };
  const examples = await read(files);
  const validation = await read(flags.validation ?? []);
  await using device = await trainingBackend(flags);
  const recipe = recipes.sft;
  const sample = chatSample(template);
  await train({ device, model, examples, validation, manner: "whole", recipe, sample }, flags, interrupts);
}

function encoded(
  tokenizer: Tokenizer,
  dialogue: Parameters<typeof encodeDialogue>[1],
  template: ChatTemplateName,
  { answers, allowMarkers = false }: Flags,
): Example {
  return encodeDialogue(tokenizer, { ...dialogue, answers }, { template, allowMarkers });
}
