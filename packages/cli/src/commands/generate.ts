// `polyllama generate`: continues a text.

import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { type Command, Option } from "commander";
import type { Piece, Tokenizer } from "polyllama";
import { UsageError } from "../exit.ts";
import { type Interrupts, unlessAborted } from "../interrupts.ts";
import { loadModel } from "../load.ts";
import { addModelOptions, addTextOptions, generateOptions, type ModelOptions, type TextOptions } from "../options.ts";
import { createProgress } from "../progress.ts";
import { follow, summary } from "../stream.ts";
import { note, printJson, writeText } from "../terminal.ts";
import { integer } from "../values.ts";

interface Options extends ModelOptions, TextOptions {
  readonly prompt?: string;
  readonly file?: string;
  readonly json?: boolean;
}

export function addGenerate(program: Command, interrupts: Interrupts): void {
  const command = program
    .command("generate")
    .summary("Continue a text")
    .description(
      "Continue a text. Prints the prompt, then the continuation as it comes.\n" +
        "Without -p and -f the prompt is standard input. One line break at the end of a file or of standard input is left out.",
    )
    .addOption(new Option("-p, --prompt <text>", '"" starts from nothing, "-" reads standard input').conflicts("file"))
    .option("-f, --file <path>", "read the prompt from a file")
    .option("--json", "print one object at the end: ids, text, timings");
  addTextOptions(command).option("--logprobs <n>", "with --json: log probabilities, and n alternatives", integer(0));
  addModelOptions(command).action((options: Options) => generate(options, interrupts));
}

async function generate(options: Options, interrupts: Interrupts): Promise<void> {
  const { json = false, logprobs } = options;
  if (logprobs !== undefined && !json) throw new UsageError("--logprobs needs --json, which prints them");
  const sampling = generateOptions(options);
  const prompt = await readPrompt(options, interrupts.signal);
  await using model = await loadModel(options, interrupts.signal);
  const { llama, backend } = model;
  const promptIds = llama.tokenizer.encode(prompt, { bos: true });

  using progress = createProgress();
  let started = false;
  let read = 0;
  const result = await interrupts.stoppable((signal) => {
    const stream = llama.generate(promptIds, {
      ...sampling,
      signal,
      onProgress: (reading) => {
        if (started) return;
        read = reading.done;
        progress.update(reading);
      },
    });
    return follow(
      stream,
      () => read,
      (piece) => {
        const first = !started;
        started = true;
        if (json) return;
        if (first) {
          progress[Symbol.dispose]();
          writeText(prompt);
        }
        writeText(piece);
      },
    );
  });

  const { finish, pieces, timings } = result;
  progress[Symbol.dispose]();
  if (json) {
    printJson({
      backend: backend.name,
      device: backend.describe().device,
      model: llama.checkpoint.name,
      promptIds,
      ids: pieces.map(({ id }) => id),
      text: result.text,
      finish,
      seed: sampling.seed,
      timings: { loadSeconds: llama.loadSeconds, ...timings },
      ...(logprobs !== undefined && { logprobs: pieces.map((piece) => describeLogprobs(piece, llama.tokenizer)) }),
    });
  } else {
    if (started && !result.text.endsWith("\n")) process.stdout.write("\n");
    if (result.exit?.code !== 0) note(summary(result, [`seed ${sampling.seed}`, backend.name]));
  }
  if (result.exit !== undefined) throw result.exit;
}

async function readPrompt({ prompt, file }: Options, signal: AbortSignal): Promise<string> {
  if (file !== undefined) return withoutLastBreak(await readFile(file, "utf8"));
  if (prompt !== undefined && prompt !== "-") return prompt;
  if (prompt === undefined && process.stdin.isTTY) {
    throw new UsageError("a prompt is missing; give it with -p TEXT, -f FILE or on standard input");
  }
  const hint = setTimeout(() => note("reading the prompt from standard input ..."), 1000);
  try {
    return withoutLastBreak(await unlessAborted(text(process.stdin), signal));
  } finally {
    clearTimeout(hint);
  }
}

function withoutLastBreak(content: string): string {
  return content.replace(/\r?\n$/, "");
}

function describeLogprobs({ id, logprob, top = [] }: Piece, tokenizer: Tokenizer): object {
  return {
    id,
    piece: tokenizer.piece(id),
    logprob,
    top: top.map((entry) => ({ id: entry.id, piece: tokenizer.piece(entry.id), logprob: entry.logprob })),
  };
}
