// The chat format on the command line: `--template` takes a name, or the path of a template in Jinja.

import { readFile } from "node:fs/promises";
import { type ChatTemplate, type ChatTemplateName, chatTemplateNames, type Llama, PolyllamaError } from "polyllama";
import { UsageError } from "../exit.ts";
import { note } from "../terminal.ts";
import { decodeText } from "../text-input.ts";
import { chatWords, inOwnWords } from "../words.ts";

/** @throws {UsageError} for what is neither a name nor a file */
export async function readTemplate(given: string | undefined): Promise<ChatTemplate | undefined> {
  if (given === undefined || isName(given)) return given;
  const names = chatTemplateNames.join(", ");
  if (!given.endsWith(".jinja")) {
    throw new UsageError(`there is no chat format "${given}". Formats: ${names}, or the path of a .jinja file`);
  }
  let bytes: Uint8Array;
  try {
    bytes = await readFile(given);
  } catch (error) {
    throw new UsageError(`${given} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  return { jinja: decodeText(bytes, given) };
}

function isName(given: string): given is ChatTemplateName {
  return chatTemplateNames.some((name) => name === given);
}

/** Says where the format is a guess. @throws {UsageError} where there is none */
export function announceFormat(llama: Llama, template: ChatTemplate | undefined): void {
  try {
    const { notice } = llama.chatFormat(template);
    if (notice !== undefined) note(chatWords(notice));
  } catch (error) {
    if (!(error instanceof PolyllamaError) || error.code !== "ERR_CHAT") throw error;
    throw new UsageError(inOwnWords(error));
  }
}
