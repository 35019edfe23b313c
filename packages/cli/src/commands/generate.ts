// `polyllama generate`: continues a text.

import { encodePrompt } from "@polyllama/core";
import { type Command, Option } from "commander";
import type { Piece, Tokenizer } from "polyllama";
import { UsageError } from "../exit.ts";
import type { Interrupts } from "../interrupts.ts";
import { loadModel } from "../load.ts";
import { addModelOptions, addTextOptions, generateOptions, type ModelOptions, type TextOptions } from "../options.ts";
import { createProgress } from "../progress.ts";
import { follow, summary } from "../stream.ts";
import { createTextOutput, note, printJson } from "../terminal.ts";
import { decodeText, readStandardInput, readTextFile, withoutLastBreak, withoutMark } from "../text-input.ts";
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
      "Continue a text. Prints the prompt, then the continuation as it comes. The prompt is PROMPT, its words joined by spaces, or what -p or -f say, else standard input; of a file and of standard input one line break at the end is left out. Text is UTF-8.",
    )
    .argument("[prompt...]", "the text to continue")
    .addOption(new Option("-p, --prompt <text>", '"" starts from nothing, "-" reads standard input').conflicts("file"))
    .option("-f, --file <path>", "read the prompt from a file")
    .option("--json", "print one object at the end: ids, text, timings");
  addTextOptions(command).option("--logprobs <n>", "with --json: log probabilities, and n alternatives", integer(0));
  addModelOptions(command).action((words: readonly string[], options: Options) => generate(words, options, interrupts));
}

async function generate(words: readonly string[], options: Options, interrupts: Interrupts): Promise<void> {
  const { json = false, logprobs } = options;
  if (logprobs !== undefined && !json) throw new UsageError("--logprobs needs --json, which prints them");
  const sampling = generateOptions(options);
  const prompt = await readPrompt(words, options, interrupts.signal);
  await using model = await loadModel(options, interrupts.signal);
  const { llama, backend } = model;
  const promptIds = encodePrompt(llama.tokenizer, prompt);

  using progress = createProgress({ json });
  const output = createTextOutput();
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
          output.write(prompt);
        }
        output.write(piece);
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
    if (started) output.end();
    if (result.exit?.code !== 0) note(summary(result, [`seed ${sampling.seed}`, backend.name]));
  }
  if (result.exit !== undefined) throw result.exit;
}

async function readPrompt(words: readonly string[], options: Options, signal: AbortSignal): Promise<string> {
  const { prompt, file } = options;
  if (words.length > 0) {
    const other = prompt === undefined ? (file === undefined ? undefined : "-f") : "-p";
    if (other === undefined) return withoutMark(words.join(" "));
    const given = words.join(" ");
    throw new UsageError(`${other} gives the prompt, and so does "${given}"; put a text of several words in quotes`);
  }
  if (file !== undefined) return withoutLastBreak(await readTextFile(file));
  if (prompt !== undefined && prompt !== "-") return withoutMark(prompt);
  if (prompt === undefined && process.stdin.isTTY) {
    throw new UsageError("a prompt is missing; give it as an argument, with -p TEXT, -f FILE or on standard input");
  }
  return withoutLastBreak(decodeText(await readStandardInput(signal, "the prompt", options), "standard input"));
}

function describeLogprobs({ id, logprob, top = [] }: Piece, tokenizer: Tokenizer): object {
  return {
    id,
    piece: tokenizer.piece(id),
    logprob,
    top: top.map((entry) => ({ id: entry.id, piece: tokenizer.piece(entry.id), logprob: entry.logprob })),
  };
}
