// `polyllama demo`: what `npm start` shows. The embedded model writes a quatrain and the beginning of a tale, with seeds
// that were chosen because the result reads well.

import type { GenerateOptions } from "@polyllama/core";
import type { Command } from "commander";
import type { BackendOptions } from "../backends.ts";
import type { Interrupts } from "../interrupts.ts";
import { loadModel } from "../load.ts";
import { addBackendOptions } from "../options.ts";
import { follow, summary } from "../stream.ts";
import { heading, note, print } from "../terminal.ts";

interface Passage {
  readonly title: string;
  readonly prompt: string;
  readonly options: GenerateOptions;
}

const passages: readonly Passage[] = [
  { title: "A quatrain", prompt: "春夜\n李白\n", options: { seed: 1, temperature: 0.8, topP: 0.9, maxTokens: 60 } },
  { title: "A tale", prompt: "Once upon a time", options: { seed: 1, temperature: 0.7, topP: 0.9, maxTokens: 120 } },
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
    const promptIds = llama.tokenizer.encode(prompt, { bos: true });
    process.stdout.write(prompt);
    const stream = llama.generate(promptIds, { ...options, signal: interrupts.signal });
    const result = await follow(
      stream,
      () => promptIds.length,
      (text) => process.stdout.write(text),
    );
    print();
    if (result.exit !== undefined) throw result.exit;
    note(summary(result, [`seed ${options.seed}`, backend.name]));
    print();
  }
  heading("Next");
  print('  npm start -- -p "春夜\\n" --seed 7');
}
