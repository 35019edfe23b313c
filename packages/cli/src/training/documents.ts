// Texts to train on: a text file is a document, or each of its lines is one; each line of a JSONL file has one in a field.

import { parseJson } from "@polyllama/core";
import { DataError, type Dialogue, type DialogueFormat, parseDialogue } from "@polyllama/training";
import { UsageError } from "../exit.ts";
import { textLines } from "../text-files.ts";
import { readTextFile } from "../text-input.ts";

/** What is a document of a text file. */
export type DocumentsAre = "files" | "lines";

/** How documents are found. */
export interface DocumentOptions {
  readonly documents: DocumentsAre;
  /** Of JSONL. */
  readonly field: string;
}

/** The documents of files, in their order; such without text are none. */
export async function* readDocuments(
  files: readonly string[],
  { documents, field }: DocumentOptions,
  signal: AbortSignal,
): AsyncGenerator<string> {
  for (const file of files) {
    if (isJsonLines(file)) {
      let line = 0;
      for await (const text of textLines([file], signal)) {
        line++;
        if (text.trim() !== "") yield fieldOf(text, field, file, line);
      }
    } else if (documents === "lines") {
      for await (const line of textLines([file], signal)) if (line.trim() !== "") yield line;
    } else {
      signal.throwIfAborted();
      const text = await readTextFile(file);
      if (text.trim() !== "") yield text;
    }
  }
}

function isJsonLines(file: string): boolean {
  return /\.(?:jsonl|ndjson)$/i.test(file);
}

function fieldOf(text: string, field: string, file: string, line: number): string {
  const value = member(text, field, file, line);
  if (typeof value === "string" && value.trim() !== "") return value;
  throw new DataError({ file, line }, field, value === undefined ? "is missing" : "is no text, or has nothing in it");
}

/** A field of a line of JSON; undefined where there is none. */
function member(text: string, field: string, file: string, line: number): unknown {
  const place = { file, line };
  let value: unknown;
  try {
    value = parseJson(text, file);
  } catch (cause) {
    throw new DataError(place, undefined, "is not JSON, or nested too deep", { cause });
  }
  if (typeof value !== "object" || value === null) throw new DataError(place, undefined, "is not an object");
  return Object.hasOwn(value, field) ? Reflect.get(value, field) : undefined;
}

/** A dialogue, and the instruction that stands beside its messages where one does. */
export interface InstructedDialogue extends Dialogue {
  readonly instruction?: string;
}

/** The dialogues of files of JSONL. */
export async function* readDialogueFiles(
  files: readonly string[],
  format: DialogueFormat | undefined,
  signal: AbortSignal,
): AsyncGenerator<InstructedDialogue> {
  for (const file of files) {
    if (!isJsonLines(file)) throw new UsageError(`${file}: dialogues are read from files of JSONL`);
    let line = 0;
    for await (const text of textLines([file], signal)) {
      line++;
      if (text.trim() === "") continue;
      const dialogue = parseDialogue(text, { file, line }, format);
      const instruction = member(text, "messages", file, line) && member(text, "instruction", file, line);
      yield typeof instruction === "string" ? { ...dialogue, instruction } : dialogue;
    }
  }
}
