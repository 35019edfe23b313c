// ShareGPT's format: `{"conversations": [{"from": "human", "value": "..."}, ...]}`, and a `system` beside it in some data.
// Source: github.com/lm-sys/FastChat, docs/training.md; github.com/hiyouga/LLaMA-Factory, data/README.md.

import { type Field, items, member, oneOf, optionalText, text } from "./fields.ts";
import type { Role, Turn } from "./turn.ts";

const roles: Readonly<Record<string, Role>> = {
  system: "system",
  human: "user",
  user: "user",
  gpt: "assistant",
  assistant: "assistant",
};

/** @throws {DataError} */
export function shareGptTurns(line: Field): readonly Turn[] {
  const origin = member(line, "system");
  const system = optionalText(origin);
  const turns = items(member(line, "conversations")).map((item): Turn => {
    const from = member(item, "from");
    return { message: { role: oneOf(from, roles), content: text(member(item, "value")) }, origin: from };
  });
  return system === undefined ? turns : [{ message: { role: "system", content: system }, origin }, ...turns];
}
