// The chat template of a tokenizer_config.json: a text, or several by name, of which "default" is used where none is
// asked for.

import type { JsonObject } from "./fields.ts";

/** The template that is used where none is asked for. */
export function chatTemplateOf(config: JsonObject | undefined): string | undefined {
  return chatTemplatesOf(config).get(defaultTemplate);
}

/** The name of a template without a name. */
export const defaultTemplate = "default";

/** All templates by name. @throws {PolyllamaError} `ERR_TOKENIZER` for a list that is none of templates. */
export function chatTemplatesOf(config: JsonObject | undefined): ReadonlyMap<string, string> {
  const value = config?.get("chat_template");
  if (config === undefined || value === undefined) return new Map();
  if (typeof value === "string") return new Map([[defaultTemplate, value]]);
  if (Array.isArray(value)) {
    const templates = config.objects("chat_template");
    return new Map(templates.map((template) => [template.string("name"), template.string("template")]));
  }
  const named = config.object("chat_template");
  return new Map(named.keys().map((name) => [name, named.string(name)]));
}
