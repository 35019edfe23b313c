// The chat template of a tokenizer_config.json: a text, or several by name.

import type { JsonObject } from "./fields.ts";

/** The template; of several the one named "default". */
export function chatTemplateOf(config: JsonObject | undefined): string | undefined {
  const value = config?.get("chat_template");
  if (config === undefined || value === undefined || typeof value === "string") return value as string | undefined; // by the line before
  if (!Array.isArray(value)) {
    const named = config.object("chat_template");
    return named.get("default") === undefined ? undefined : named.string("default");
  }
  const templates = config.objects("chat_template");
  return templates.find((template) => template.string("name") === "default")?.string("template");
}
