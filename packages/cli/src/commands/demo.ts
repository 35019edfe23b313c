// `polyllama demo`: what `npm start` shows. The embedded model writes a quatrain and the beginning of a tale, with
// seeds that were chosen because the result reads well.

import { encodePrompt, parameterCount } from "@polyllama/core";
import type { Command } from "commander";
import type { GenerateOptions } from "polyllama";
import type { BackendOptions } from "../backends.ts";
import type { Interrupts } from "../interrupts.ts";
import { loadModel } from "../load.ts";
import { addBackendOptions } from "../options.ts";
import { follow, summary } from "../stream.ts";
import { createTextOutput, heading, note, print } from "../terminal.ts";

interface Passage {
  readonly title: string;
  readonly prompt: string;
  readonly options: GenerateOptions;
}

const passages: readonly Passage[] = [
  {
    title: "A Chinese quatrain",
    prompt: "春夜\n李白\n",
    options: { seed: 8, temperature: 0.7, topP: 0.9, maxTokens: 90 },
  },
  {
    title: "An English passage",
    prompt: "The little tailor went into the forest, and",
    options: { seed: 3, temperature: 0.5, topP: 0.9, maxTokens: 110, stop: "\n" },
  },
];

const next = [
  'polyllama generate -p "Once upon a time"         another tale; a title and an author begin a poem',
  "polyllama generate --model FILE -p TEXT          with a model of yours: GGUF, safetensors, .pth, llama2.c",
  "polyllama chat --model FILE                      talk with a chat model",
  "polyllama inspect synthetic://llama-2-7b         what a model is, and the memory it takes",
  "polyllama doctor                                 what this machine can run",
  "From a clone, `npm start -- OPTIONS` is generate and `npm run polyllama -- COMMAND` any command.",
];

export function addDemo(program: Command, interrupts: Interrupts): void {
  const command = program
    .command("demo")
    .summary("Let the embedded model write")
    .description("Let the embedded model write a Chinese quatrain and an English passage.");
  addBackendOptions(command).action((options: BackendOptions) => demo(options, interrupts));
}

async function demo(options: BackendOptions, interrupts: Interrupts): Promise<void> {
  await using model = await loadModel(options, interrupts.signal);
  const { llama, backend } = model;
  for (const { title, prompt, options } of passages) {
    heading(title);
    const promptIds = encodePrompt(llama.tokenizer, prompt);
    const output = createTextOutput();
    output.write(prompt);
    const stream = llama.generate(promptIds, { ...options, signal: interrupts.signal });
    const result = await follow(stream, () => promptIds.length, output.write);
    output.end();
    if (result.exit !== undefined) throw result.exit;
    note(summary(result, [`seed ${options.seed}`, backend.name]));
    print();
  }
  const millions = (parameterCount(llama.config) / 1e6).toFixed(1);
  print(`The embedded model has ${millions} million parameters: its form is right and its sense accidental.`);
  print();
  heading("What to try next");
  for (const line of next) print(`  ${line}`);
}
