// The chat format on the command line: `--template` takes a name, or the path of a template in Jinja. Which names there
// are is known when the checkpoint is, since it may bring some of its own.

import { readFile } from "node:fs/promises";
import { type ChatTemplate, type Llama, PolyllamaError } from "polyllama";
import { UsageError } from "../exit.ts";
import { note } from "../terminal.ts";
import { decodeText } from "../text-input.ts";
import { chatWords, inOwnWords } from "../words.ts";

/** @throws {UsageError} for a file that cannot be read */
export async function readTemplate(given: string | undefined): Promise<ChatTemplate | undefined> {
  if (given === undefined || !given.endsWith(".jinja")) return given;
  let bytes: Uint8Array;
  try {
    bytes = await readFile(given);
  } catch (error) {
    throw new UsageError(`${given} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  return { jinja: decodeText(bytes, given) };
}

/**
 * Says where the format is a guess.
 *
 * @throws {UsageError} where there is none; `OptionError` for a name that there is not
 */
export function announceFormat(llama: Llama, template: ChatTemplate | undefined): void {
  try {
    const { notice } = llama.chatFormat(template);
    if (notice !== undefined) note(chatWords(notice));
  } catch (error) {
    if (!(error instanceof PolyllamaError) || error.code !== "ERR_CHAT") throw error;
    throw new UsageError(inOwnWords(error));
  }
}
