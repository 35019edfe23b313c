// OpenAI's format for fine-tuning: `{"messages": [{"role": "user", "content": "..."}, ...]}`.
// Source: platform.openai.com/docs/guides/supervised-fine-tuning.

import { type Field, items, member, oneOf, text } from "./fields.ts";
import type { Role, Turn } from "./turn.ts";

const roles: Readonly<Record<string, Role>> = { system: "system", user: "user", assistant: "assistant" };

/** @param messages The field of that name. @throws {DataError} */
export function openAiTurns(messages: Field): readonly Turn[] {
  return items(messages).map((item) => {
    const origin = member(item, "role");
    return { message: { role: oneOf(origin, roles), content: text(member(item, "content")) }, origin };
  });
}
