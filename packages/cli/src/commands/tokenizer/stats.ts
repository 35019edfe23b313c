// `polyllama tokenizer stats`: how many tokens texts take, tokenizer beside tokenizer.

import { basename } from "node:path";
import type { Command } from "commander";
import type { Tokenizer } from "polyllama";
import { count, plural, table } from "../../format.ts";
import { createProgress } from "../../progress.ts";
import { heading, print, printJson } from "../../terminal.ts";
import { textLines } from "../../text-files.ts";
import { collect } from "../../values.ts";
import { load, tokenizerHelp } from "./load.ts";

interface StatsFlags {
  readonly tokenizer: readonly string[];
  readonly json?: boolean;
}

export function addStats(parent: Command, signal: AbortSignal): void {
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
