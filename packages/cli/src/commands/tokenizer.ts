// `polyllama tokenizer`: text to ids and back; vocabularies trained, merged and compared.

import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { mergeVocabularies, readTokenizer, type Tokenizer, trainVocabulary } from "polyllama";
import { UsageError } from "../exit.ts";
import { count, plural, seconds, table } from "../format.ts";
import type { Interrupts } from "../interrupts.ts";
import { createProgress, type Telling } from "../progress.ts";
import { heading, note, print, printJson, writeText } from "../terminal.ts";
import { checkOutput, textLines, writeWhole } from "../text-files.ts";
import { decodeText, readStandardInput } from "../text-input.ts";
import { collect, integer } from "../values.ts";

export function addTokenizer(program: Command, { signal }: Interrupts): void {
  const command = program
    .command("tokenizer")
    .summary("Encode, decode, train, merge and compare vocabularies")
    .description("Text to token ids and back; vocabularies trained on a corpus, merged, and compared on texts.");
  addEncode(command, signal);
  addDecode(command, signal);
  addTrain(command, signal);
  addMerge(command);
  addStats(command, signal);
}

const tokenizerHelp = "tokenizer.model, tokenizer.json, or a GGUF file";

interface EncodeFlags {
  readonly tokenizer: string;
  readonly bos?: boolean;
  readonly eos?: boolean;
  readonly special?: boolean;
  readonly pieces?: boolean;
  readonly json?: boolean;
}

function addEncode(parent: Command, signal: AbortSignal): void {
  parent
    .command("encode")
    .summary("Print the token ids of standard input")
    .description("Print the token ids of the text on standard input, taken exactly as it is: a last line break counts.")
    .requiredOption("--tokenizer <file>", tokenizerHelp)
    .option("--bos", "put the beginning-of-sequence token in front")
    .option("--eos", "put the end-of-sequence token behind")
    .option("--special", "read names of control tokens, such as </s>, as those tokens")
    .option("--pieces", "print the pieces instead, one a line")
    .option("--json", 'print {"ids": [...]}')
    .action(
      async ({ tokenizer: path, json = false, pieces, bos = false, eos = false, special = false }: EncodeFlags) => {
        const tokenizer = await load(path, signal);
        const ids = tokenizer.encode(await standardInput(signal, { json }), { bos, eos, special });
        if (json) print(JSON.stringify({ ids, ...(pieces && { pieces: ids.map((id) => tokenizer.piece(id)) }) }));
        else if (pieces) for (const id of ids) print(`${id} ${JSON.stringify(tokenizer.piece(id))}`);
        else print(ids.join(" "));
      },
    );
}

interface DecodeFlags {
  readonly tokenizer: string;
  readonly special?: boolean;
  readonly json?: boolean;
}

function addDecode(parent: Command, signal: AbortSignal): void {
  parent
    .command("decode")
    .summary("Print the text of token ids")
    .description(
      'Print the text of token ids, given as arguments or on standard input: numbers, or {"ids": [...]}. ' +
        "Nothing is added to the text, not even a line break.",
    )
    .argument("[ids...]", "token ids")
    .requiredOption("--tokenizer <file>", tokenizerHelp)
    .option("--special", "show control tokens by name")
    .option("--json", 'print {"text": "..."}')
    .action(async (given: string[], { tokenizer: path, special = false, json = false }: DecodeFlags) => {
      const tokenizer = await load(path, signal);
      const ids = parseIds(given.length > 0 ? given.join(" ") : await standardInput(signal, { json }));
      const decoded = tokenizer.decode(ids, { special });
      if (json) print(JSON.stringify({ text: decoded }));
      else writeText(decoded);
    });
}

function parseIds(source: string): number[] {
  const list = /^\s*(?:\{\s*"ids"\s*:\s*)?\[?([\d\s,]*)\]?\s*\}?\s*$/.exec(source)?.[1];
  if (list === undefined) throw new UsageError('token ids are expected: numbers, or {"ids": [...]}');
  return (list.match(/\d+/g) ?? []).map(Number);
}

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

function addTrain(parent: Command, signal: AbortSignal): void {
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

interface MergeFlags {
  readonly output: string;
  readonly overwrite?: boolean;
}

function addMerge(parent: Command): void {
  parent
    .command("merge")
    .summary("Append the pieces that a vocabulary lacks")
    .description(
      "Append to BASE the pieces of EXTRA that it lacks, with score 0, as Chinese-LLaMA does; all ids of BASE stay. " +
        "BASE is a tokenizer.model of type BPE, EXTRA one of any type.",
    )
    .argument("<base>", "tokenizer.model")
    .argument("<extra>", "tokenizer.model")
    .requiredOption("-o, --output <file>", "the tokenizer.model to write")
    .option("--overwrite", "replace the output")
    .action(async (base: string, extra: string, { output, overwrite }: MergeFlags) => {
      await checkOutput(output, overwrite);
      const [baseBytes, extraBytes] = [await readModel(base), await readModel(extra)];
      const { model, vocabSize, added } = mergeVocabularies(baseBytes, extraBytes, base, extra);
      await writeWhole(output, model);
      note(`${output}: ${count(vocabSize)} pieces, ${count(added.length)} of them new`);
    });
}

interface StatsFlags {
  readonly tokenizer: readonly string[];
  readonly json?: boolean;
}

function addStats(parent: Command, signal: AbortSignal): void {
  parent
    .command("stats")
    .summary("Compare tokenizers on text files")
    .description(
      "Count the tokens of text files, encoded line by line without line ends, side by side for each tokenizer.",
    )
    .argument("<files...>", "text in UTF-8")
    .requiredOption("--tokenizer <file>", `${tokenizerHelp}; repeatable`, collect)
    .option("--json", "print one object")
    .action((files: string[], flags: StatsFlags) => stats(files, flags, signal));
}

interface FileStats {
  readonly file: string;
  readonly lines: number;
  readonly characters: number;
  /** By tokenizer. */
  readonly tokens: readonly number[];
}

async function stats(files: readonly string[], flags: StatsFlags, signal: AbortSignal): Promise<void> {
  const tokenizers: Tokenizer[] = [];
  for (const path of flags.tokenizer) tokenizers.push(await load(path, signal));
  const results: FileStats[] = [];
  using progress = createProgress(flags);
  for (const file of files) {
    const tokens = tokenizers.map(() => 0);
    let lines = 0;
    let characters = 0;
    for await (const line of textLines([file], signal, progress.update)) {
      lines++;
      for (const _ of line) characters++;
      for (const [i, tokenizer] of tokenizers.entries())
        tokens[i]! += tokenizer.encode(line, { bos: false, eos: false }).length;
    }
    results.push({ file, lines, characters, tokens });
  }
  progress[Symbol.dispose]();
  if (flags.json) {
    const named = results.map(({ tokens, ...file }) => ({
      ...file,
      tokenizers: tokens.map((tokens, i) => ({
        tokenizer: flags.tokenizer[i],
        tokens,
        tokensPerCharacter: tokens / file.characters,
      })),
    }));
    printJson({ files: named });
    return;
  }
  const most = Math.max(...results.flatMap(({ tokens, characters }) => tokens.map((n) => n / characters)));
  for (const { file, lines, characters, tokens } of results) {
    heading(`${basename(file)}: ${count(characters)} characters, ${plural(lines, "line")}`);
    const rows = tokens.map((n, i) => {
      const perCharacter = n / characters;
      return [
        nameOf(flags.tokenizer[i]!, flags.tokenizer),
        count(n),
        perCharacter.toFixed(3),
        bar(perCharacter / most),
      ];
    });
    for (const line of table([["tokenizer", "tokens", "per character", ""], ...rows], [0, 3])) print(`  ${line}`);
  }
}

/** The file's name, or its whole path where another file has the same name. */
function nameOf(path: string, all: readonly string[]): string {
  return all.filter((other) => basename(other) === basename(path)).length > 1 ? path : basename(path);
}

/** A bar of 40 columns at most, drawn in eighths. */
function bar(share: number): string {
  const eighths = Math.round(share * 40 * 8);
  return "█".repeat(Math.floor(eighths / 8)) + (" ▏▎▍▌▋▊▉"[eighths % 8] ?? "").trim();
}

async function load(path: string, signal: AbortSignal): Promise<Tokenizer> {
  return (await readTokenizer(path, 32000, signal)).tokenizer;
}

async function readModel(path: string): Promise<Uint8Array> {
  return readFile(path).catch((error: unknown) => {
    throw new UsageError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  });
}

async function standardInput(signal: AbortSignal, telling: Telling): Promise<string> {
  return decodeText(await readStandardInput(signal, "text", telling), "standard input");
}

function fraction(value: string): number {
  const number = Number(value);
  if (value.trim() !== "" && number >= 0.98 && number <= 1) return number;
  throw new InvalidArgumentError("A number from 0.98 to 1 is expected.");
}
