// Dialogues from lines of JSON, in the formats that such data is published in.

import { type ChatMessage, checkOptions, type OptionSchema, option, parseJson } from "@polyllama/core";
import { alpacaTurns } from "./alpaca.ts";
import { DataError, type DataPlace } from "./data-error.ts";
import { type Field, member } from "./fields.ts";
import { openAiTurns } from "./openai.ts";
import { shareGptTurns } from "./sharegpt.ts";
import { messagesOf, type Turn } from "./turn.ts";

/** Format of a dialogue's line. */
export type DialogueFormat = "openai" | "sharegpt" | "alpaca";

/** A dialogue in which the assistant has the last word. */
export interface Dialogue {
  readonly messages: readonly ChatMessage[];
  readonly place: DataPlace;
}

/** Options of {@link readDialogues}. */
export interface ReadDialoguesOptions {
  /** Name of the file, for errors. */
  readonly file: string;
  /** Default: each line's own, which its fields tell. */
  readonly format?: DialogueFormat;
}

interface Reader {
  /** The field that only this format has. */
  readonly mark: string;
  turns(line: Field): readonly Turn[];
}

const readers: Readonly<Record<DialogueFormat, Reader>> = {
  openai: { mark: "messages", turns: (line) => openAiTurns(member(line, "messages")) },
  sharegpt: { mark: "conversations", turns: shareGptTurns },
  alpaca: { mark: "instruction", turns: alpacaTurns },
};

const formats = Object.keys(readers) as readonly DialogueFormat[]; // its own keys

export const readDialoguesOptionTypes: OptionSchema<ReadDialoguesOptions> = {
  file: { ...option.string, required: true },
  format: option.oneOf(formats),
};

/**
 * The dialogues of lines of JSON, one each; lines of white space are none.
 *
 * @throws {DataError} naming line and field of what is no dialogue of the format; `OptionError`
 */
export function* readDialogues(
  lines: Iterable<string>,
  options: ReadDialoguesOptions,
): Generator<Dialogue, void, undefined> {
  checkOptions(options, readDialoguesOptionTypes, "readDialogues");
  let line = 0;
  for (const text of lines) {
    line++;
    if (text.trim() !== "") yield parseDialogue(text, { file: options.file, line }, options.format);
  }
}

/**
 * The dialogue of one line.
 *
 * @param format Default: what its fields tell.
 * @throws {DataError} naming the field of what is no dialogue of the format.
 */
export function parseDialogue(text: string, place: DataPlace, format?: DialogueFormat): Dialogue {
  const line = parseLine(text, place);
  const reader = readers[format ?? formatOf(line)];
  return { messages: messagesOf(reader.turns(line), { ...line, path: reader.mark }), place };
}

function formatOf(line: Field): DialogueFormat {
  const found = formats.find((format) => member(line, readers[format].mark).value !== undefined);
  if (found !== undefined) return found;
  const known = formats.map((format) => `${readers[format].mark} (${format})`).join(", ");
  throw new DataError(line.place, undefined, `there is no field that tells its format: ${known}`);
}

/** The JSON of a line. @throws {DataError} */
export function parseLine(text: string, place: DataPlace): Field {
  try {
    return { value: parseJson(text, place.file), path: undefined, place };
  } catch (cause) {
    throw new DataError(place, undefined, "is not JSON, or nested too deep", { cause });
  }
}
