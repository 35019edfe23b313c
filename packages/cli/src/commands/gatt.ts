// `polyllama gatt`: Ghost Attention. Answers are sampled with an instruction in every turn of the user, and trained with it
// in the first turn alone, so that the model learns to keep to it.

import { type Example, encodeDialogue, ghostTraining, recipes } from "@polyllama/training";
import type { Command } from "commander";
import { UsageError } from "../exit.ts";
import type { Interrupts } from "../interrupts.ts";
import { addChatTraining, type Base, baseOf, chatSample, fitting } from "../training/chat.ts";
import { type InstructedDialogue, readDialogueFiles } from "../training/documents.ts";
import { type GhostFlags, instructionOf, sampleGhost } from "../training/ghost.ts";
import { addTrainingOptions } from "../training/options.ts";
import { train, trainingBackend } from "../training/run.ts";
import { collect, integer, number } from "../values.ts";

export function addGatt(program: Command, interrupts: Interrupts): void {
  const command = program
    .command("gatt")
    .summary("Fine-tune a model with Ghost Attention")
    .description(
      "Teach a chat model to keep to an instruction of the first turn. The questions of dialogues, in JSONL as of sft, are " +
        "answered by the model with the instruction in each of them, and kept in sampled.jsonl; trained is the last answer, " +
        "with the instruction in the first question alone. A line may have its own `instruction` beside `messages`.",
    )
    .argument("<files...>", "dialogues in JSONL")
    .option("--instruction <text>", "instruction, given to dialogues in turn; repeatable", collect)
    .option("--sampled", "take the answers of the files: they were sampled with the instructions already")
    .option("--temperature <x>", "of sampled answers", number, 0.8)
    .option("--answer-tokens <n>", "most tokens of a sampled answer", integer(1), 256);
  addChatTraining(command);
  addTrainingOptions(command, "what the model is asked to answer").action((files: string[], flags: GhostFlags) =>
    run(files, flags, interrupts),
  );
}

async function run(files: readonly string[], flags: GhostFlags, interrupts: Interrupts): Promise<void> {
  const { signal } = interrupts;
  await using base = await baseOf(flags, signal);
  const dialogues = await read(files, flags, signal);
  const held = await read(flags.validation ?? [], flags, signal);
  const lacking = [...dialogues, ...held].find(
    (dialogue, index) => instructionOf(dialogue, index, flags) === undefined,
  );
  if (lacking !== undefined) {
    const { file, line } = lacking.place;
    throw new UsageError(`${file}, line ${line}: the dialogue has no instruction; give --instruction`);
  }
  await using device = await trainingBackend(flags);
  const sampled = flags.sampled ? dialogues : await sampleGhost(base, dialogues, device, flags, interrupts);
  await train(
    {
      device,
      model: base.model,
      examples: examplesOf(sampled, base, flags),
      validation: examplesOf(held, base, flags),
      manner: "whole",
      recipe: recipes.sft,
      sample: chatSample(base.template),
    },
    flags,
    interrupts,
  );
}

async function read(files: readonly string[], flags: GhostFlags, signal: AbortSignal): Promise<InstructedDialogue[]> {
  const dialogues: InstructedDialogue[] = [];
  for await (const dialogue of readDialogueFiles(files, flags.format, signal)) dialogues.push(dialogue);
  return dialogues;
}

/** Dialogues in the form that is trained. */
function examplesOf(
  dialogues: readonly InstructedDialogue[],
  { model, template, tokenizer }: Base,
  flags: GhostFlags,
): readonly Example[] {
  const { allowMarkers = false } = flags;
  const examples = dialogues.map((dialogue, index): readonly [Example, string] => {
    const { messages, place } = dialogue;
    const instruction = instructionOf(dialogue, index, flags) ?? "";
    const form = { ...ghostTraining(messages, instruction), place };
    return [encodeDialogue(tokenizer, form, { template, allowMarkers }), `${place.file}, line ${place.line}`];
  });
  return fitting(examples, flags, recipes.sft, model);
}
