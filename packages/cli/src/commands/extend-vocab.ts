// `polyllama extend-vocab`: a checkpoint with a larger vocabulary, written as safetensors or GGUF.

import type { Command } from "commander";
import { extendVocabulary, writeGguf, writeSafetensors } from "polyllama";
import { bytes, count, seconds } from "../format.ts";
import type { Interrupts } from "../interrupts.ts";
import { openModel } from "../load.ts";
import { fitVocabulary, ignoreTensors } from "../options.ts";
import { createProgress } from "../progress.ts";
import { note } from "../terminal.ts";

interface Options {
  readonly tokenizer: string;
  readonly ignoreTensors?: readonly string[];
  readonly fitVocabulary?: boolean;
  readonly baseTokenizer?: string;
  readonly output: string;
  readonly rows: string;
  readonly overwrite?: boolean;
}

export function addExtendVocab(program: Command, { signal }: Interrupts): void {
  program
    .command("extend-vocab")
    .summary("Give a checkpoint a larger vocabulary")
    .description(
      "Write a checkpoint with the vocabulary of a tokenizer.model that continues its own, as `tokenizer merge` makes it. " +
        "Old rows keep their bytes; configuration and tokenizer are updated. The output is a GGUF file where its name ends " +
        "in .gguf, one file where it ends in .safetensors, else a folder in Hugging Face's layout.",
    )
    .argument("<model>", "GGUF, safetensors, .pth or llama2.c file, folder, or synthetic:// URL")
    .requiredOption("--tokenizer <file>", "the larger tokenizer.model")
    .requiredOption("-o, --output <path>", "where to write")
    .option("--base-tokenizer <file>", "the model's own tokenizer, where it comes without one")
    .addOption(ignoreTensors())
    .addOption(fitVocabulary())
    .option(
      "--rows <how>",
      "rows of new pieces: `sub-tokens`, the mean of the rows of what they were written with; `mean` of all rows; or a safetensors file",
      "sub-tokens",
    )
    .option("--overwrite", "replace the output")
    .action((model: string, options: Options) => run(model, options, signal));
}

async function run(model: string, options: Options, signal: AbortSignal): Promise<void> {
  const { tokenizer, baseTokenizer, output, rows, overwrite = false } = options;
  const started = performance.now();
  const flags = {
    ...(baseTokenizer !== undefined && { tokenizer: baseTokenizer }),
    ...(options.ignoreTensors && { ignoreTensors: options.ignoreTensors }),
    ...(options.fitVocabulary && { fitVocabulary: true }),
  };
  await using base = await openModel(model, flags, signal);
  const extended = await extendVocabulary(base, tokenizer, {
    rows: rows === "sub-tokens" || rows === "mean" ? rows : { file: rows },
    signal,
  });
  using progress = createProgress();
  const write = output.endsWith(".gguf") ? writeGguf : writeSafetensors;
  const written = await write(output, extended, { overwrite, onProgress: progress.update, onNote: note, signal });
  progress[Symbol.dispose]();
  const [from, to] = [base.config.vocabSize, extended.config.vocabSize];
  const peak = process.resourceUsage().maxRSS * 1024;
  note(
    `${output}: ${count(from)} -> ${count(to)} pieces, ${bytes(written.bytes)} written in ` +
      `${seconds((performance.now() - started) / 1000)}, peak memory ${bytes(peak)}`,
  );
}
