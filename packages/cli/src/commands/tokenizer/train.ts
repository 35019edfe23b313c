// `polyllama tokenizer train`: a vocabulary from text files.

import { type Command, InvalidArgumentError } from "commander";
import { trainVocabulary } from "polyllama";
import { count, plural, seconds } from "../../format.ts";
import { createProgress } from "../../progress.ts";
import { note } from "../../terminal.ts";
import { checkOutput, textLines, writeWhole } from "../../text-files.ts";
import { collect, integer } from "../../values.ts";

interface TrainFlags {
  readonly output: string;
  readonly vocabSize: number;
  readonly coverage?: number;
  readonly byteFallback: boolean;
  readonly splitDigits: boolean;
  readonly splitNumbers: boolean;
  readonly splitScripts: boolean;
  readonly spacePieces: boolean;
  readonly prefix: boolean;
  readonly removeExtraSpaces?: boolean;
  readonly maxPieceLength?: number;
  readonly maxLineBytes?: number;
  readonly userSymbol?: readonly string[];
  readonly controlSymbol?: readonly string[];
  readonly overwrite?: boolean;
}

export function addTrain(parent: Command, signal: AbortSignal): void {
  parent
    .command("train")
    .summary("Train a vocabulary on text files")
    .description(
      "Train a BPE vocabulary on text files, line by line, as SentencePiece does, and write a tokenizer.model that " +
        "SentencePiece and llama.cpp load too. Defaults are the settings of Llama 2's own vocabulary.",
    )
    .argument("<files...>", "text in UTF-8")
    .requiredOption("-o, --output <file>", "the tokenizer.model to write")
    .requiredOption("--vocab-size <n>", "number of pieces", integer(4))
    .option("--coverage <x>", "share of the text whose characters get a piece, 0.98 to 1 (default: 0.9995)", fraction)
    .option("--no-byte-fallback", "make other characters unknown, not bytes")
    .option("--no-split-digits", "allow pieces of several digits")
    .option("--no-split-numbers", "allow pieces of digits and letters")
    .option("--no-split-scripts", "allow pieces of several scripts")
    .option("--no-space-pieces", "allow no pieces of several spaces")
    .option("--no-prefix", "put no space in front of texts")
    .option("--remove-extra-spaces", "drop spaces at the ends of texts and all but one of a run")
    .option("--max-piece-length <n>", "longest piece in characters (default: 16)", integer(1))
    .option("--max-line-bytes <n>", "skip longer lines (default: 4192)", integer(10))
    .option("--user-symbol <text>", "a piece that text always becomes; repeatable", collect)
    .option("--control-symbol <text>", "a token that no text becomes; repeatable", collect)
    .option("--overwrite", "replace the output")
    .action((files: string[], flags: TrainFlags) => train(files, flags, signal));
}

async function train(files: readonly string[], flags: TrainFlags, signal: AbortSignal): Promise<void> {
  const { output, coverage, maxPieceLength, maxLineBytes, removeExtraSpaces = false } = flags;
  await checkOutput(output, flags.overwrite);
  const started = performance.now();
  using progress = createProgress();
  const trained = await trainVocabulary(textLines(files, signal, progress.update), {
    vocabSize: flags.vocabSize,
    byteFallback: flags.byteFallback,
    splitDigits: flags.splitDigits,
    splitByNumber: flags.splitNumbers,
    splitByUnicodeScript: flags.splitScripts,
    allowWhitespaceOnlyPieces: flags.spacePieces,
    addDummyPrefix: flags.prefix,
    removeExtraWhitespaces: removeExtraSpaces,
    ...(coverage !== undefined && { characterCoverage: coverage }),
    ...(maxPieceLength !== undefined && { maxPieceLength }),
    ...(maxLineBytes !== undefined && { maxLineBytes }),
    userDefinedSymbols: flags.userSymbol ?? [],
    controlSymbols: flags.controlSymbol ?? [],
    onProgress: (now) => {
      if (now.phase === "merging") progress.update(now); // reading is shown by bytes
    },
    signal,
  });
  progress[Symbol.dispose]();
  await writeWhole(output, trained.model);
  const { lines, skipped, characters } = trained;
  const left = skipped === 0 ? "" : ` (${count(skipped)} skipped: too long, or with U+2585)`;
  note(
    `${output}: ${count(flags.vocabSize)} pieces, ${count(characters)} of them characters; ${plural(lines, "line")}${left}, ` +
      seconds((performance.now() - started) / 1000),
  );
}

function fraction(value: string): number {
  const number = Number(value);
  if (value.trim() !== "" && number >= 0.98 && number <= 1) return number;
  throw new InvalidArgumentError("A number from 0.98 to 1 is expected.");
}
