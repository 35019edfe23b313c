// Files of chat templates beside weights in Hugging Face's layout: chat_template.jinja, and others in a folder for them.

import { CheckpointError, type NamedChatTemplate, type OwnChatTemplate } from "@polyllama/core";

/** The bytes of a file beside the weights, or undefined where there is no such file. */
export type FileReader = (name: string) => Promise<Uint8Array | undefined>;

/** Folder of templates besides chat_template.jinja, each in a file named after it. */
export const templateFolder = "additional_chat_templates";

/** Names of the templates in that folder. */
export type TemplateNames = () => Promise<readonly string[]>;

/** What a file in that folder is called, or undefined where its name is no template's. */
export function templateName(file: string): string | undefined {
  return /^([^/\\]+)\.jinja$/.exec(file)?.[1];
}

/** Most bytes of a chat template; the longest public ones have some 20 KB. */
const mostTemplate = 2 ** 20;
const mostTemplates = 64;

/** The templates of a folder for them. */
export async function readTemplates(
  read: FileReader,
  where: string,
  names: readonly string[],
): Promise<readonly NamedChatTemplate[]> {
  if (names.length > mostTemplates) {
    const problem = `${names.length} chat templates are more than ${mostTemplates}`;
    throw new CheckpointError({ file: where + templateFolder }, problem, "Take some of the files away.");
  }
  const found: NamedChatTemplate[] = [];
  for (const name of names) {
    const template = await readTemplate(read, where, `${templateFolder}/${name}.jinja`);
    if (template !== undefined) found.push({ name, ...template });
  }
  return found;
}

export async function readTemplate(
  read: FileReader,
  where: string,
  file: string,
): Promise<OwnChatTemplate | undefined> {
  const jinja = await read(file);
  if (jinja === undefined) return undefined;
  checkTemplate(jinja, where + file);
  return { jinja: new TextDecoder().decode(jinja), from: file };
}

function checkTemplate(bytes: Uint8Array, file: string): void {
  if (bytes.length <= mostTemplate) return;
  throw new CheckpointError(
    { file },
    `a chat template of ${bytes.length} bytes is longer than ${mostTemplate}`,
    "Take the file away, or shorten it.",
  );
}
