// What all formats of dialogues become, and what must hold of it.

import type { ChatMessage } from "@polyllama/core";
import { type Field, fail } from "./fields.ts";

/** Who speaks, in the dialogues that models are trained on here. */
export type Role = "system" | "user" | "assistant";

/** A message and the field that says whose it is. */
export interface Turn {
  readonly message: ChatMessage & { readonly role: Role };
  readonly origin: Field;
}

/**
 * Messages of turns: an optional system message, then user and assistant in turn, the assistant last.
 *
 * @param whole The field that has them all.
 * @throws {DataError}
 */
export function messagesOf(turns: readonly Turn[], whole: Field): readonly ChatMessage[] {
  const first = turns[0]?.message.role === "system" ? 1 : 0;
  for (const [index, { message, origin }] of turns.slice(first).entries()) {
    const expected = index % 2 === 0 ? "user" : "assistant";
    if (message.role === expected) continue;
    fail(origin, `is a turn of the ${message.role} where one of the ${expected} is expected`);
  }
  const last = turns.at(-1);
  if (last === undefined || turns.length === first) fail(whole, "has no turns");
  if (last.message.role === "user") fail(last.origin, "is a turn of the user that nobody answers");
  return turns.map(({ message }) => message);
}
