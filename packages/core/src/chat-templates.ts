// The chat templates that a checkpoint came with: one without a name, which is used where none is asked for, and others
// by name. Source: llama.cpp, gguf-py/gguf/constants.py (names of keys).

import { type Notice, shown } from "./tokenizer/assemble.ts";
import { defaultTemplate } from "./tokenizer/json/chat-template.ts";

/** A conversation's format in Jinja, as the checkpoint's makers wrote it. */
export interface OwnChatTemplate {
  readonly jinja: string;
  /** Where it stands, such as `tokenizer_config.json: chat_template`. */
  readonly from: string;
}

/** One of several that a checkpoint came with, such as `tool_use`. */
export interface NamedChatTemplate extends OwnChatTemplate {
  readonly name: string;
}

const templateKey = "tokenizer.chat_template";

/**
 * The key `tokenizer.chat_template`, and `tokenizer.chat_template.NAME`, whose names `tokenizer.chat_templates` lists.
 */
export function ggufTemplates(
  metadata: ReadonlyMap<string, unknown>,
  notice: Notice,
): { readonly default: OwnChatTemplate | undefined; readonly named: readonly NamedChatTemplate[] } {
  const found = new Map<string, OwnChatTemplate>();
  for (const [key, jinja] of metadata) {
    if (key !== templateKey && !key.startsWith(`${templateKey}.`)) continue;
    const name = key.slice(templateKey.length + 1) || defaultTemplate;
    if (typeof jinja !== "string") notice(`${key} is ${shown(jinja)} and not text; it is left out`);
    else if (key === templateKey || !found.has(name)) found.set(name, { jinja, from: key });
  }
  const listed = metadata.get(`${templateKey}s`);
  for (const name of Array.isArray(listed) ? listed : []) {
    if (!metadata.has(`${templateKey}.${name}`) && !found.has(String(name)))
      notice(`${templateKey}s lists ${shown(name)}, which is not there`);
  }
  return { default: found.get(defaultTemplate), named: namedOnly(found) };
}

/** All but the one without a name, in the order of their names. */
export function namedOnly(templates: ReadonlyMap<string, OwnChatTemplate>): readonly NamedChatTemplate[] {
  return [...templates]
    .filter(([name]) => name !== defaultTemplate)
    .map(([name, template]) => ({ name, ...template }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
