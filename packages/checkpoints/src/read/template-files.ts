// Files of chat templates beside weights in Hugging Face's layout: chat_template.jinja, and others in a folder for
// them.

import { CheckpointError, type NamedChatTemplate, type OwnChatTemplate } from "@polyllama/core";
import { type Files, readWhole } from "./files.ts";

/** Folder of templates besides chat_template.jinja, each in a file named after it. */
export const templateFolder = "additional_chat_templates";

/** Names that are looked for where a folder cannot be listed: those that llama.cpp and transformers know of. */
const usualTemplates = ["rag", "tool_use"];

/** What a file in that folder is called, or undefined where its name is no template's. */
export function templateName(file: string): string | undefined {
  return /^([^/\\]+)\.jinja$/.exec(file)?.[1];
}

/** Names of the templates in that folder, or of those that may be there. */
export async function templateNames(files: Files): Promise<readonly string[]> {
  const there = await files.list(templateFolder);
  return there?.flatMap((file) => templateName(file) ?? []).sort() ?? usualTemplates;
}

/** Most bytes of a chat template; the longest public ones have some 20 KB. */
const mostTemplate = 2 ** 20;
const mostTemplates = 64;

/** The templates of the folder for them. @throws {CheckpointError} */
export async function readTemplates(files: Files, signal?: AbortSignal): Promise<readonly NamedChatTemplate[]> {
  const names = await templateNames(files);
  if (names.length > mostTemplates) {
    const problem = `${names.length} chat templates are more than ${mostTemplates}`;
    throw new CheckpointError({ file: files.pathOf(templateFolder) }, problem, "Take some of the files away.");
  }
  const found: NamedChatTemplate[] = [];
  for (const name of names) {
    const template = await readTemplate(files, `${templateFolder}/${name}.jinja`, signal);
    if (template !== undefined) found.push({ name, ...template });
  }
  return found;
}

/** One template; undefined where there is no such file. @throws {CheckpointError} */
export async function readTemplate(
  files: Files,
  name: string,
  signal?: AbortSignal,
): Promise<OwnChatTemplate | undefined> {
  const jinja = await readWhole(files, name, signal);
  if (jinja === undefined) return undefined;
  checkTemplate(jinja, files.pathOf(name));
  return { jinja: new TextDecoder().decode(jinja), from: name };
}

function checkTemplate(bytes: Uint8Array, file: string): void {
  if (bytes.length <= mostTemplate) return;
  throw new CheckpointError(
    { file },
    `a chat template of ${bytes.length} bytes is longer than ${mostTemplate}`,
    "Take the file away, or shorten it.",
  );
}
