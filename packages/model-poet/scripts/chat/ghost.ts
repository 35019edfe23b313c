// Ghost Attention (Llama 2, section 3.3) for the poet: dialogues whose first turn has an instruction that their last
// answer obeys. The paper samples answers with the instruction in every request; here they are texts of the corpora that
// obey it. Each dialogue has two forms with the same answers: `ghost`, the instruction in the first request alone, and
// `plain`, in every request, which is how it would be sampled and all that fine-tuning without Ghost Attention would see.
// In both the last answer alone counts, so that both train on the same tokens.

import type { ChatMessage, Tokenizer } from "@polyllama/core";
import { encodeDialogue, ghostSampling, ghostTraining } from "@polyllama/training";
import type { ChatCorpus } from "./corpus.ts";
import { chatDialogue } from "./dialogues.ts";
import { type InstructionName, instructed } from "./instructions.ts";
import type { Random } from "./random.ts";
import { messagesOf } from "./requests.ts";

/** A dialogue in both forms. */
export interface GhostPair {
  readonly ghost: readonly ChatMessage[];
  readonly plain: readonly ChatMessage[];
}

/** What both forms must fit into. */
export interface GhostLimits {
  readonly tokenizer: Tokenizer;
  /** Tokens of a sequence. */
  readonly length: number;
}

/** How often each instruction is given; the others are ordinary dialogues, so that answers without one stay what they were. */
const shares: readonly (readonly [InstructionName | "none", number])[] = [
  ["chinese", 26],
  ["english", 22],
  ["four-lines", 26],
  ["manner", 6],
  ["none", 20],
];

const mostLaterTurns = 20;

/** Share of dialogues whose instruction is a system message. */
const bySystem = 0.25;

/** A dialogue of one to twenty turns after the first. */
export function ghostDialogue(corpus: ChatCorpus, random: Random, limits: GhostLimits): GhostPair {
  const name = random.weighted(shares);
  if (name === "none") {
    const messages = chatDialogue(corpus, random);
    return { ghost: messages, plain: messages };
  }
  const { instruction, next } = instructed(name, corpus, random);
  const turns = 1 + Math.ceil(mostLaterTurns * random.next() ** 1.5);
  const exchanges = Array.from({ length: turns }, next);
  const isSystem = random.next() < bySystem;
  for (;;) {
    const messages = messagesOf(exchanges);
    const ghost = isSystem
      ? [{ role: "system", content: instruction }, ...messages]
      : ghostTraining(messages, instruction).messages;
    const plain = ghostSampling(messages, instruction);
    if (exchanges.length <= 2 || (fits(ghost, limits) && fits(plain, limits))) return { ghost, plain };
    exchanges.shift();
  }
}

function fits(messages: readonly ChatMessage[], { tokenizer, length }: GhostLimits): boolean {
  return encodeDialogue(tokenizer, { messages }).ids.length - 1 <= length;
}

/** What a model is asked to judge whether it keeps to an instruction. */
export interface HeldDialogue {
  readonly name: InstructionName;
  readonly instruction: string;
  readonly requests: readonly string[];
}

/** Requests of a dialogue under an instruction; the answers are the model's. */
export function heldDialogue(name: InstructionName, corpus: ChatCorpus, random: Random, turns: number): HeldDialogue {
  const { instruction, next } = instructed(name, corpus, random);
  return { name, instruction, requests: Array.from({ length: turns }, () => next().request) };
}
