// `polyllama chat`: a conversation in the checkpoint's own format, or in one that is named. Each turn only reads what
// is new.

import type { Command } from "commander";
import { chatTemplateNames } from "polyllama";
import { chatHelp } from "../chat/commands.ts";
import { converse } from "../chat/conversation.ts";
import { answerOnce } from "../chat/once.ts";
import { announceFormat, readTemplate } from "../chat/template.ts";
import type { TurnContext } from "../chat/turn.ts";
import type { Interrupts } from "../interrupts.ts";
import { loadModel } from "../load.ts";
import { addModelOptions, addTextOptions, generateOptions, type ModelOptions, type TextOptions } from "../options.ts";
import { note } from "../terminal.ts";

interface Options extends ModelOptions, TextOptions {
  readonly system?: string;
  readonly template?: string;
  readonly contextShift: boolean;
  readonly allowMarkers?: boolean;
  readonly json?: boolean;
}

export function addChat(program: Command, interrupts: Interrupts): void {
  const command = program
    .command("chat")
    .summary("Talk with a chat model")
    .description(
      "Talk with a chat model. On a terminal a message may have several lines, and pasted text is one message; from a pipe every line is one.",
    )
    .option("--system <text>", "what the model is told before the conversation")
    .option(
      "--template <name>",
      `the chat format that the model was trained on (default: the checkpoint's own): ${chatTemplateNames.join(", ")}, a name of the checkpoint's own templates (inspect lists them), or the path of a .jinja file`,
    )
    .option("--context-shift", "let the oldest turns leave when the context is full (default)", true)
    .option("--no-context-shift", "refuse messages when the context is full")
    .option("--allow-markers", "take messages that contain markers of the chat format, such as [INST]")
    .option(
      "--json",
      "answer one turn and print one object: standard input is the message, or a list of messages in JSON",
    );
  addTextOptions(command);
  addModelOptions(command).action((options: Options) => chat(options, interrupts));
  command.addHelpText(
    "after",
    `\nWithin a conversation:\n${chatHelp()
      .map((line) => `  ${line}`)
      .join("\n")}`,
  );
}

async function chat(options: Options, interrupts: Interrupts): Promise<void> {
  const { system, contextShift, allowMarkers = false, json = false } = options;
  const template = await readTemplate(options.template);
  const sampling = { ...generateOptions(options), allowMarkers, ...(template !== undefined && { template }) };
  await using model = await loadModel(options, interrupts.signal);
  announceFormat(model.llama, template);
  const context: TurnContext = { model, interrupts, contextShift };
  if (json) return await answerOnce(context, system, sampling);
  if (options.model === undefined) {
    note("The embedded poet is no chat model: it answers in verse or tales, and has no idea what it was asked.");
    note("For conversations load one with --model, such as a GGUF file of Llama-2-7b-chat.");
  }
  await converse(context, system, sampling);
}
