// `polyllama chat`: a conversation in the format of Llama 2 or of Chinese-Alpaca. Each turn only reads what is new.

import { type Command, Option } from "commander";
import {
  type ChatMessage,
  type ChatOptions,
  type ChatTemplateName,
  ContextOverflowError,
  chatTemplateNames,
  PolyllamaError,
} from "polyllama";
import type { Interrupts } from "../interrupts.ts";
import { readLines } from "../lines.ts";
import { type LoadedModel, loadModel } from "../load.ts";
import { addModelOptions, addTextOptions, generateOptions, type ModelOptions, type TextOptions } from "../options.ts";
import { createProgress } from "../progress.ts";
import { follow, type Streamed, summary } from "../stream.ts";
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

/** One message and its answer; returns the conversation that they leave behind. */
async function turn(
  { llama }: LoadedModel,
  earlier: readonly ChatMessage[],
  content: string,
  sampling: ChatOptions,
  interrupts: Interrupts,
): Promise<readonly ChatMessage[]> {
  const asked: readonly ChatMessage[] = [...earlier, { role: "user", content }];
  using progress = createProgress();
  let read = 0;
  let answered = false;
  let result: Streamed;
  try {
    result = await interrupts.stoppable((signal) => {
      const stream = llama.chat(asked, {
        ...sampling,
        signal,
        onProgress: (reading) => {
          if (answered) return;
          read = reading.done;
          progress.update(reading);
        },
      });
      return follow(
        stream,
        () => read,
        (text) => {
          if (!answered) progress[Symbol.dispose]();
          answered = true;
          process.stdout.write(text);
        },
      );
    });
  } catch (error) {
    if (!(error instanceof PolyllamaError)) throw error;
    progress[Symbol.dispose]();
    // A message that cannot be answered is as if it had not been sent.
    note(`error: ${error.message}`);
    if (error instanceof ContextOverflowError)
      note("The conversation has filled the context; /reset starts a new one.");
    return earlier;
  }
  interrupts.signal.throwIfAborted();
  if (answered) print();
  note(summary(result, [`seed ${sampling.seed}`]));
  return result.text.trim() === "" ? earlier : [...asked, { role: "assistant", content: result.text }];
}
