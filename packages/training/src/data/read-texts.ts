// Documents of plain text and of JSONL, from files that come in chunks: one document is held at a time.

import { checkOptions, type OptionSchema, option } from "@polyllama/core";
import { DataError, type DataPlace } from "../dialogues/data-error.ts";
import { member, text } from "../dialogues/fields.ts";
import {
  type Dialogue,
  parseDialogue,
  parseLine,
  type ReadDialoguesOptions,
  readDialoguesOptionTypes,
} from "../dialogues/read.ts";
import { type Chunks, readLines } from "./lines.ts";

/** A text and where it begins. */
export interface TextDocument {
  readonly text: string;
  readonly place: DataPlace;
}

/** Options of {@link readTexts}. */
export interface ReadTextsOptions {
  /** Name of the file, for errors. */
  readonly file: string;
  /**
   * A line that ends a document, white space at its ends apart: `""` for empty lines, or such as `<|endoftext|>`.
   * Default: the file is one document.
   */
  readonly separator?: string;
}

/** Options of {@link readJsonl}. */
export interface ReadJsonlOptions {
  /** Name of the file, for errors. */
  readonly file: string;
  /** Field of each line's object that holds its text. Default `text`. */
  readonly field?: string;
}

const file = { ...option.string, required: true };
const readTextsOptionTypes: OptionSchema<ReadTextsOptions> = { file, separator: option.string };
const readJsonlOptionTypes: OptionSchema<ReadJsonlOptions> = { file, field: option.string };

/** UTF-16 units of a document that are kept before it is refused. */
const longest = 1 << 28;

/**
 * Documents of plain text; those of white space alone are none. Lines end with `\n`, whatever the file has.
 *
 * @throws {DataError} for a line that is not UTF-8, or a document that is too long to hold; `OptionError`; what the
 * chunks throw.
 */
export async function* readTexts(
  chunks: Chunks,
  options: ReadTextsOptions,
): AsyncGenerator<TextDocument, void, undefined> {
  checkOptions(options, readTextsOptionTypes, "readTexts");
  const separator = options.separator?.trim();
  let lines: string[] = [];
  let length = 0;
  let [line, start] = [0, 1];
  const document = (): TextDocument[] => {
    const found = lines.some((each) => each.trim() !== "") ? [`${lines.join("\n")}\n`] : [];
    [lines, length] = [[], 0];
    return found.map((text) => ({ text, place: { file: options.file, line: start } }));
  };
  for await (const each of readLines(chunks, options.file)) {
    line++;
    if (each.trim() === separator) {
      yield* document();
      continue;
    }
    if (lines.length === 0) start = line;
    lines.push(each);
    length += each.length + 1;
    if (length > longest) {
      const problem = "begins a document of more than 256 Mi characters; give a separator that ends documents earlier";
      throw new DataError({ file: options.file, line: start }, undefined, problem);
    }
  }
  yield* document();
}

/**
 * Documents of JSONL, an object each line; lines of white space are none.
 *
 * @throws {DataError} naming line and field of what is no text; `OptionError`; what the chunks throw.
 */
export async function* readJsonl(
  chunks: Chunks,
  options: ReadJsonlOptions,
): AsyncGenerator<TextDocument, void, undefined> {
  checkOptions(options, readJsonlOptionTypes, "readJsonl");
  const { field = "text" } = options;
  for await (const { content, place } of filledLines(chunks, options.file)) {
    yield { text: text(member(parseLine(content, place), field)), place };
  }
}

/**
 * Dialogues of JSONL as `readDialogues` reads them, from a file that comes in chunks.
 *
 * @throws as `readDialogues` does; what the chunks throw.
 */
export async function* streamDialogues(
  chunks: Chunks,
  options: ReadDialoguesOptions,
): AsyncGenerator<Dialogue, void, undefined> {
  checkOptions(options, readDialoguesOptionTypes, "streamDialogues");
  for await (const { content, place } of filledLines(chunks, options.file)) {
    yield parseDialogue(content, place, options.format);
  }
}

async function* filledLines(chunks: Chunks, file: string): AsyncGenerator<{ content: string; place: DataPlace }> {
  let line = 0;
  for await (const content of readLines(chunks, file)) {
    line++;
    if (content.trim() !== "") yield { content, place: { file, line } };
  }
}
