// Instructions that hold for a whole dialogue, and exchanges that obey them. The requests say nothing of the instruction,
// and would be answered otherwise without it: in the language they are in, in any number of lines, in anyone's manner.

import { anyForm, type ChatCorpus } from "./corpus.ts";
import { poemText } from "./poems.ts";
import type { Random } from "./random.ts";
import { type Exchange, poemExchange, taleExchange, titledRequest } from "./requests.ts";
import type { Language } from "./subjects.ts";

export type InstructionName = "chinese" | "english" | "four-lines" | "manner";

/** A dialogue under an instruction. */
export interface Instructed {
  readonly instruction: string;
  next(): Exchange;
}

/** Half of them short, as in the paper; `{}` is an author's name. */
const wordings: Readonly<Record<InstructionName, readonly string[]>> = {
  chinese: [
    "Always answer in Chinese.",
    "From now on answer in Chinese, whatever I ask.",
    "请一直用中文回答。",
    "Answers: Chinese.",
    "Language: Chinese.",
    "语言：中文。",
  ],
  english: [
    "Always answer in English.",
    "From now on answer in English, whatever I ask.",
    "请一直用英文回答。",
    "Answers: English.",
    "Language: English.",
    "语言：英文。",
  ],
  "four-lines": [
    "Write every poem in four lines.",
    "From now on all poems have four lines.",
    "从现在起，每首诗都写四句。",
    "Lines: four.",
    "Poems: four lines.",
    "诗：四句。",
  ],
  manner: [
    "Always write in the manner of {}.",
    "From now on you write as {} would.",
    "从现在起，每首诗都仿{}。",
    "Poet: {}.",
    "Manner: {}.",
    "诗人：{}。",
  ],
};

const begin: Readonly<Record<InstructionName, (corpus: ChatCorpus, random: Random) => Begun>> = {
  chinese: (corpus, random) => ({ next: () => taleExchange(corpus, random, "english", "chinese") }),
  english: (corpus, random) => ({ next: () => taleExchange(corpus, random, "chinese", "english") }),
  "four-lines": (corpus, random) => ({ next: () => poemExchange(corpus, random, anyLanguage(random), "four") }),
  manner: (corpus, random) => {
    const { byAuthor } = corpus.poems.eight;
    const author = random.pick([...byAuthor.keys()]);
    return {
      author,
      next: () => {
        const poems = corpus.poems[anyForm(random)].byAuthor.get(author) ?? byAuthor.get(author) ?? [];
        const poem = random.pick(poems);
        return { request: titledRequest(random, anyLanguage(random), poem), answer: poemText(poem) };
      },
    };
  },
};

interface Begun {
  readonly author?: string;
  next(): Exchange;
}

/** Begins a dialogue under an instruction. */
export function instructed(name: InstructionName, corpus: ChatCorpus, random: Random): Instructed {
  const { author = "", next } = begin[name](corpus, random);
  return { instruction: random.pick(wordings[name]).replace("{}", () => author), next };
}

function anyLanguage(random: Random): Language {
  return random.pick(["english", "chinese"] as const);
}
