// What is asked for, and how: each request in several wordings of both languages, and the answer that the corpora have.

import type { ChatMessage } from "@polyllama/core";
import { anyForm, type ChatCorpus, pickKeyed } from "./corpus.ts";
import type { Passage } from "./passages.ts";
import { type Form, type Poem, poemText } from "./poems.ts";
import type { Random } from "./random.ts";
import type { Language } from "./subjects.ts";

/** A question and its answer; `more` makes one that asks for more of the same. */
export interface Exchange {
  readonly request: string;
  readonly answer: string;
  readonly more?: (random: Random) => Exchange | undefined;
}

/** Makes an exchange whose request is in a language. */
export type ExchangeMaker = (corpus: ChatCorpus, random: Random, language: Language) => Exchange;

/** Messages from the user's first to the assistant's last. */
export function messagesOf(exchanges: readonly Exchange[]): readonly ChatMessage[] {
  return exchanges.flatMap(({ request, answer }) => [
    { role: "user", content: request },
    { role: "assistant", content: answer },
  ]);
}

type Wordings = Readonly<Record<Language, readonly string[]>>;

/** A wording with its `{}` filled in turn. */
function worded(random: Random, wordings: Wordings, language: Language, ...values: readonly string[]): string {
  let text = random.pick(wordings[language]);
  for (const value of values) text = text.replace("{}", () => value);
  return text;
}

const titled: Wordings = {
  english: ["Write a poem titled {}.", "A poem titled {}, please.", "Make a poem with the title {}."],
  chinese: ["写一首题为《{}》的诗。", "请以“{}”为题作诗。", "作诗：{}"],
};
const onSubject: Wordings = {
  english: ["Write a poem about {}.", "A poem on {}, please.", "Make a poem of {}."],
  chinese: ["写一首关于{}的诗。", "请作诗咏{}。", "来一首诗，写{}。"],
};
const inManner: Wordings = {
  english: ["Write a poem in the manner of {}.", "A poem like {}'s, please.", "Write as {} would."],
  chinese: ["仿{}写一首诗。", "请学{}的风格作诗。", "写一首{}那样的诗。"],
};
const another: Wordings = {
  english: ["Another one.", "One more, please."],
  chinese: ["再来一首。", "请再写一首。"],
};
const nextLine: Wordings = {
  english: ["What is the next line after {}", "Give the next line: {}"],
  chinese: ["下一句是什么：{}", "请接下一句：{}"],
};
const who: Wordings = {
  english: ["Who wrote these lines? {}", "Whose lines are these? {}"],
  chinese: ["这几句是谁写的？{}", "谁写的：{}"],
};
const tale: Wordings = {
  english: ["Tell me of {}.", "Tell a tale about {}.", "What about {}?", "A little story of {}, please."],
  chinese: ["讲讲{}。", "说一段关于{}的故事。", "{}怎么样了？", "请讲一个有{}的故事。"],
};
const continued: Wordings = {
  english: ["Continue this tale: {}", "How does it go on? {}", "Go on from here: {}"],
  chinese: ["接着写：{}", "请续写这段故事：{}", "后来呢？{}"],
};
const goOn: Wordings = {
  english: ["Go on.", "And then?", "What happened next?"],
  chinese: ["接着讲。", "然后呢？", "后来呢？"],
};
const ofLines: Readonly<Record<"four" | "eight", Wordings>> = {
  four: {
    english: ["{} In four lines.", "{} Four lines, please.", "In four lines: {}"],
    chinese: ["{}要四句。", "{}四句就好。", "用四句：{}"],
  },
  eight: {
    english: ["{} In eight lines.", "{} Eight lines, please.", "In eight lines: {}"],
    chinese: ["{}要八句。", "{}八句就好。", "用八句：{}"],
  },
};
const answerIn: Readonly<Record<Language, Wordings>> = {
  english: {
    english: ["{} Answer in English.", "In English: {}"],
    chinese: ["{}请用英文回答。", "用英文：{}"],
  },
  chinese: {
    english: ["{} Answer in Chinese.", "In Chinese: {}"],
    chinese: ["{}请用中文回答。", "用中文：{}"],
  },
};
const whoAreYou: Wordings = {
  english: ["Who are you?", "What are you?", "What can you do?"],
  chinese: ["你是谁？", "你会做什么？", "介绍一下你自己。"],
};
const itself: Wordings = {
  english: ["I am a small model. I write poems and tell tales, and know little else."],
  chinese: ["我是一个小模型，会写诗，会讲故事，别的知道得很少。"],
};

/** What a poem is asked for by: its title, what it is about, whose it is. */
export function poemExchange(
  corpus: ChatCorpus,
  random: Random,
  language: Language,
  form: Form = anyForm(random),
  by: "title" | "subject" | "author" = random.weighted<"title" | "subject" | "author">([
    ["title", 5],
    ["subject", 3],
    ["author", 2],
  ]),
): Exchange {
  const index = corpus.poems[form];
  if (by === "title") {
    const poem = random.pick(index.all);
    return answeredBy(poem, titledRequest(random, language, poem));
  }
  if (by === "subject") {
    const { key, text } = pickKeyed(random, index.bySubject);
    const more = anotherOf(index.bySubject.get(key) ?? [], language);
    return answeredBy(text, worded(random, onSubject, language, key[language]), more);
  }
  const { byAuthor } = form === "other" ? corpus.poems.eight : index; // which few authors have many of
  const { key, text } = pickKeyed(random, byAuthor);
  const more = anotherOf(byAuthor.get(key) ?? [], language);
  return answeredBy(text, worded(random, inManner, language, key), more);
}

export function titledRequest(random: Random, language: Language, { title }: Poem): string {
  return worded(random, titled, language, title);
}

function answeredBy(poem: Poem, request: string, more?: Exchange["more"]): Exchange {
  return { request, answer: poemText(poem), ...(more && { more }) };
}

function anotherOf(poems: readonly Poem[], language: Language): (random: Random) => Exchange {
  return (random) => answeredBy(random.pick(poems), worded(random, another, language), anotherOf(poems, language));
}

/** A poem of so many lines as the request says. */
export const poemOfLines: ExchangeMaker = (corpus, random, language) => {
  const form = random.pick(["four", "four", "eight"] as const);
  const { request, answer } = poemExchange(corpus, random, language, form);
  return { request: worded(random, ofLines[form], language, request), answer };
};

/** The line that follows one of a poem's. */
export const nextLineExchange: ExchangeMaker = (corpus, random, language) => {
  const { verses } = random.pick(corpus.poems[anyForm(random)].all);
  const at = Math.floor(random.next() * (verses.length - 1));
  const [line = "", following = ""] = verses.slice(at, at + 2);
  return { request: worded(random, nextLine, language, line), answer: following };
};

/** Whose lines they are. */
export const whoExchange: ExchangeMaker = (corpus, random, language) => {
  const { key, text } = pickKeyed(random, corpus.poems[random.pick(["four", "eight"] as const)].byAuthor);
  return { request: worded(random, who, language, text.verses.slice(0, 2).join("")), answer: `${key}。` };
};

/** A tale in a language, which may be another than the request's. */
export function taleExchange(
  corpus: ChatCorpus,
  random: Random,
  language: Language,
  answerLanguage: Language = language,
): Exchange {
  const { key, text } = pickKeyed(random, corpus.prose[answerLanguage].bySubject);
  return told(text, worded(random, tale, language, key[language]), language);
}

/** The sentences that follow given ones. */
export const continueExchange: ExchangeMaker = (corpus, random, language) => {
  const { text, next } = random.pick(corpus.prose[language].continued);
  if (next === undefined) throw new TypeError("Nothing follows a passage that is listed as continued.");
  return told(next, worded(random, continued, language, text), language);
};

function told({ text, next }: Passage, request: string, language: Language): Exchange {
  const more = next && ((random: Random) => told(next, worded(random, goOn, language), language));
  return { request, answer: text, ...(more && { more }) };
}

/** A tale in the language that the request names. */
export const taleInLanguage: ExchangeMaker = (corpus, random, language) => {
  const answerLanguage = random.pick(["english", "chinese"] as const);
  const { request, answer } = taleExchange(corpus, random, language, answerLanguage);
  return { request: worded(random, answerIn[answerLanguage], language, request), answer };
};

/** What the model is. */
export const whoAreYouExchange: ExchangeMaker = (_, random, language) => ({
  request: worded(random, whoAreYou, language),
  answer: worded(random, itself, language),
});
