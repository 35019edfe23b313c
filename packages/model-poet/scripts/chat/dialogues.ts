// Dialogues for fine-tuning: one to six exchanges, each in a language of its own, some that go on with the one before,
// some behind a system message. A request that names a language or a number of lines, which might be taken to hold for
// what follows, is the last one of its dialogue: whether such a thing holds is what Ghost Attention teaches.

import type { ChatMessage } from "@polyllama/core";
import type { ChatCorpus } from "./corpus.ts";
import { type InstructionName, instructed } from "./instructions.ts";
import type { Random } from "./random.ts";
import {
  continueExchange,
  type Exchange,
  type ExchangeMaker,
  messagesOf,
  nextLineExchange,
  poemExchange,
  poemOfLines,
  taleExchange,
  taleInLanguage,
  whoAreYouExchange,
  whoExchange,
} from "./requests.ts";
import type { Language } from "./subjects.ts";

const makers: readonly (readonly [ExchangeMaker, number])[] = [
  [(corpus, random, language) => poemExchange(corpus, random, language), 36],
  [(corpus, random, language) => taleExchange(corpus, random, language), 26],
  [continueExchange, 22],
  [nextLineExchange, 8],
  [whoExchange, 4],
  [whoAreYouExchange, 4],
];

/** Those that may be taken for instructions. */
const instructing: readonly (readonly [ExchangeMaker, number])[] = [
  [poemOfLines, 1],
  [taleInLanguage, 1],
];

const systems: Readonly<Record<Language, readonly string[]>> = {
  english: ["You are a poet and a teller of tales.", "You are a helpful assistant.", "You write poems and tell tales."],
  chinese: ["你是一位诗人，也会讲故事。", "你是一个乐于助人的助手。", "你写诗，也讲故事。"],
};

const instructionNames: readonly InstructionName[] = ["chinese", "english", "four-lines", "manner"];

/** Exchanges of a dialogue, and how often. */
const lengths: readonly (readonly [number, number])[] = [
  [1, 45],
  [2, 25],
  [3, 15],
  [4, 6],
  [5, 5],
  [6, 4],
];

/** Shares of exchanges that ask for more of the one before, and of last ones that name a language or a number of lines. */
const exchangeShares = { more: 0.35, instructing: 0.25 };

/** Shares of dialogues with a system message, and of those with one that must be obeyed. */
const systemShares = { any: 0.15, instructing: 0.1 };

export function chatDialogue(corpus: ChatCorpus, random: Random): readonly ChatMessage[] {
  const kind = random.next();
  if (kind < systemShares.instructing) return instructedBySystem(corpus, random);
  const language = (): Language => random.pick(["english", "chinese"] as const);
  const count = random.weighted(lengths);
  const exchanges: Exchange[] = [];
  while (exchanges.length < count) {
    const isLast = exchanges.length === count - 1;
    const more = random.next() < exchangeShares.more ? exchanges.at(-1)?.more?.(random) : undefined;
    const list = isLast && random.next() < exchangeShares.instructing ? instructing : makers;
    exchanges.push(more ?? random.weighted(list)(corpus, random, language()));
  }
  const messages = messagesOf(exchanges);
  if (kind >= systemShares.instructing + systemShares.any) return messages;
  return [{ role: "system", content: random.pick(systems[language()]) }, ...messages];
}

/** A single exchange that obeys its system message; longer ones are Ghost Attention's. */
function instructedBySystem(corpus: ChatCorpus, random: Random): readonly ChatMessage[] {
  const { instruction, next } = instructed(random.pick(instructionNames), corpus, random);
  return [{ role: "system", content: instruction }, ...messagesOf([next()])];
}
