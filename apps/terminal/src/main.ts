// A chat in the terminal: answers stream, Ctrl-C stops an answer, and at the prompt it ends the program.
// Usage: main.ts [MODEL], a GGUF, safetensors or llama2.c file or folder.

import { createInterface } from "node:readline/promises";
import { cpu } from "@polyllama/backend-cpu";
import { poet } from "@polyllama/model-poet";
import { type ChatMessage, Llama, PolyllamaError } from "polyllama";

const backend = cpu();
const llama = await Llama.load(process.argv[2] ?? poet, { backend }).catch((error: unknown) => {
  if (!(error instanceof PolyllamaError)) throw error;
  console.error(error.message);
  process.exit(1);
});
const messages: ChatMessage[] = [];

const terminal = createInterface({ input: process.stdin, output: process.stdout, prompt: "> " });
let answering: AbortController | undefined;
terminal.on("SIGINT", () => (answering === undefined ? terminal.close() : answering.abort()));

terminal.prompt();
for await (const content of terminal) {
  if (content.trim() !== "") await answer(content);
  terminal.prompt();
}
await llama.dispose();
await backend[Symbol.asyncDispose]();

async function answer(content: string): Promise<void> {
  messages.push({ role: "user", content });
  answering = new AbortController();
  const { signal } = answering;
  let whole = "";
  try {
    for await (const { text } of llama.chat(messages, { signal })) {
      process.stdout.write(text);
      whole += text;
    }
  } catch (error) {
    if (!signal.aborted) console.error(error instanceof Error ? error.message : error);
  }
  answering = undefined;
  process.stdout.write("\n");
  // Part of an answer is an answer; a message without any is taken back.
  if (whole.trim() === "") messages.pop();
  else messages.push({ role: "assistant", content: whole });
}
