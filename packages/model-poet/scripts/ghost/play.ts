// A dialogue in which the model answers every request, its own earlier answers in view; the instruction is in the first
// request alone, for models with and without Ghost Attention.

import type { ChatMessage } from "@polyllama/core";
import { ghostTraining } from "@polyllama/training";
import type { HeldDialogue } from "../chat/ghost.ts";
import { isObeyed, type JudgedInstruction } from "../chat/judge.ts";

/** Answers the last of the messages; undefined where the context is full. */
export type Answerer = (messages: readonly ChatMessage[]) => Promise<string | undefined>;

export interface Played {
  readonly instruction: string;
  readonly turns: readonly PlayedTurn[];
}

interface PlayedTurn {
  readonly request: string;
  /** Missing where the context was full; the turn then counts as one that does not obey. */
  readonly answer?: string;
  readonly obeyed: boolean;
}

/** A dialogue whose instruction a program can judge. */
export type JudgedDialogue = HeldDialogue & { readonly name: JudgedInstruction };

export async function play({ name, instruction, requests }: JudgedDialogue, answer: Answerer): Promise<Played> {
  const messages: ChatMessage[] = [];
  const turns: PlayedTurn[] = [];
  let isFull = false;
  for (const request of requests) {
    messages.push({ role: "user", content: request });
    const text: string | undefined = isFull ? undefined : await answer(ghostTraining(messages, instruction).messages);
    isFull = text === undefined;
    messages.push({ role: "assistant", content: text ?? "" });
    turns.push({ request, ...(text !== undefined && { answer: text }), obeyed: isObeyed(name, text ?? "") });
  }
  return { instruction, turns };
}
