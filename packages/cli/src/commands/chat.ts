// `polyllama chat`: a conversation in the format of Llama 2 or of Chinese-Alpaca. Each turn only reads what is new.

import { type Command, Option } from "commander";
import { type ChatMessage, type ChatTemplateName, chatTemplateNames } from "polyllama";
import { turn } from "../chat/turn.ts";
import type { Interrupts } from "../interrupts.ts";
import { readLines } from "../lines.ts";
import { loadModel } from "../load.ts";
import { addModelOptions, addTextOptions, generateOptions, type ModelOptions, type TextOptions } from "../options.ts";
import { note, print } from "../terminal.ts";

interface Options extends ModelOptions, TextOptions {
  readonly system?: string;
  readonly template: ChatTemplateName;
}

const help = "/reset forgets the conversation, /exit or Ctrl-D ends it; Ctrl-C stops an answer.";

export function addChat(program: Command, interrupts: Interrupts): void {
  const command = program
    .command("chat")
    .summary("Talk with a chat model")
    .description("Talk with a chat model. From a pipe, every line is one message.")
    .option("--system <text>", "what the model is told before the conversation")
    .addOption(
      new Option("--template <name>", "the chat format that the model was trained on")
        .choices(chatTemplateNames)
        .default("llama-2"),
    );
  addTextOptions(command);
  addModelOptions(command).action((options: Options) => chat(options, interrupts));
}

async function chat(options: Options, interrupts: Interrupts): Promise<void> {
  const sampling = { ...generateOptions(options), template: options.template };
  await using model = await loadModel(options, interrupts.signal);
  if (options.model === undefined) {
    note("The embedded poet is no chat model: it answers in verse or tales, and has no idea what it was asked.");
    note("For conversations load one with --model, such as a GGUF file of Llama-2-7b-chat.");
  }
  const beginning: readonly ChatMessage[] =
    options.system === undefined ? [] : [{ role: "system", content: options.system }];
  let messages = beginning;
  using lines = readLines("> ", interrupts.interrupt);
  if (process.stdin.isTTY) note(help);

  for (;;) {
    const line = (await lines.next(interrupts.signal))?.trim();
    if (line === undefined || line === "/exit") return;
    if (line === "") continue;
    if (line === "/help") print(help);
    else if (line === "/reset") messages = beginning;
    else if (line.startsWith("/")) print(`There is no command ${line}. ${help}`);
    else messages = await turn(model, messages, line, sampling, interrupts);
  }
}
