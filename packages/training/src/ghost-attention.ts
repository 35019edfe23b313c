// Ghost Attention (Llama 2, section 3.3): a model learns to keep to an instruction that only the first turn of a dialogue
// has. Answers are sampled with the instruction in every turn of the user, so that the model is reminded of it each
// time; trained is the same dialogue with the instruction in the first turn alone. Only the last answer counts there,
// since those before it were given to questions that the training form does not have.

import { type ChatMessage, checkValue, option } from "@polyllama/core";
import type { TrainingDialogue } from "./sft.ts";

/**
 * A dialogue in the form that answers are sampled in: the instruction stands before every message of the user.
 *
 * @param messages Without the instruction; to sample an answer the last one is the user's.
 * @throws {OptionError} for an instruction of nothing.
 */
export function ghostSampling(messages: readonly ChatMessage[], instruction: string): readonly ChatMessage[] {
  return joined(messages, instruction, () => true);
}

/**
 * A dialogue in the form that is trained: the instruction stands before the user's first message alone, and the last
 * answer alone counts.
 *
 * @param messages Without the instruction, with the answers that were sampled with it.
 * @throws {OptionError} for an instruction of nothing.
 */
export function ghostTraining(messages: readonly ChatMessage[], instruction: string): TrainingDialogue {
  const first = messages.findIndex(({ role }) => role === "user");
  return { messages: joined(messages, instruction, (index) => index === first), answers: "last" };
}

function joined(
  messages: readonly ChatMessage[],
  instruction: string,
  isInstructed: (index: number) => boolean,
): readonly ChatMessage[] {
  checkValue(instruction, { ...option.nonEmptyString, required: true }, "instruction", "Ghost Attention");
  return messages.map((message, index) => {
    if (message.role !== "user" || !isInstructed(index)) return message;
    return { ...message, content: `${instruction}\n\n${message.content}` };
  });
}
