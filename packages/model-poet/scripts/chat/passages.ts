// Prose as answers: two sentences of a paragraph, no quotation of which is cut in two, and those that follow them.

import type { PoetDocument } from "../data/document.ts";
import { type Language, type Subject, subjects } from "./subjects.ts";

export interface Passage {
  readonly text: string;
  /** What follows it in its document. */
  readonly next: Passage | undefined;
}

export interface PassageIndex {
  readonly all: readonly Passage[];
  /** Those that something follows. */
  readonly continued: readonly Passage[];
  /** By what they tell of. */
  readonly bySubject: ReadonlyMap<Subject, readonly Passage[]>;
}

interface Form {
  sentences(paragraph: string): readonly string[];
  readonly between: string;
  /** Fewest and most characters of a passage. */
  readonly least: number;
  readonly most: number;
}

const forms: Readonly<Record<Language, Form>> = {
  english: {
    sentences: (paragraph) =>
      paragraph
        .replace(/\b(Mrs?|Dr|St|Ms)\. /g, "$1.\u00a0") // which end no sentence
        .split(/(?<=[.!?]["'”’)]*) +(?=["'“‘(]*\p{Lu})/u)
        .map((sentence) => sentence.replaceAll("\u00a0", " ")),
    between: " ",
    least: 40,
    most: 200,
  },
  chinese: {
    sentences: (paragraph) => paragraph.match(/[^。！？]+[。！？]+[”’]*/g) ?? [],
    between: "",
    least: 12,
    most: 64,
  },
};

const sentencesOfPassage = 2;

/** The passages of a document, in their order. A paragraph's last sentence may be one by itself. */
export function passagesOf({ text }: PoetDocument, language: Language): readonly Passage[] {
  const { sentences, between, least, most } = forms[language];
  const texts = text.split("\n").flatMap((paragraph) => {
    const all = sentences(paragraph.trim());
    const count = Math.ceil(all.length / sentencesOfPassage);
    return Array.from({ length: count }, (_, at) =>
      all.slice(at * sentencesOfPassage, (at + 1) * sentencesOfPassage).join(between),
    );
  });
  const found: Passage[] = [];
  let next: Passage | undefined;
  for (const cut of texts.filter((each) => each !== "").reverse()) {
    next = cut.length >= least && cut.length <= most && isWhole(cut) ? { text: cut, next } : undefined;
    if (next !== undefined) found.unshift(next);
  }
  return found;
}

/** Whether it ends as a sentence does, and every quotation that begins in it ends in it. */
function isWhole(text: string): boolean {
  const count = (sign: string): number => text.split(sign).length - 1;
  return (
    /[.!?。！？]["'”’)]*$/.test(text) &&
    count('"') % 2 === 0 &&
    count("“") === count("”") &&
    !/(^|\s)'|'(\s|$)|[‘[\]_{}*|<>（）]/.test(text) &&
    !/\p{Script=Han}{14}/u.test(text) // verse in prose that lost its punctuation
  );
}

export function indexPassages(documents: readonly PoetDocument[], language: Language): PassageIndex {
  const all = documents.flatMap((document) => passagesOf(document, language));
  const bySubject = new Map<Subject, Passage[]>();
  const bySign = new Map(subjects.flatMap((subject) => subject.words.map((word) => [word, subject] as const)));
  for (const passage of all) {
    const subject =
      language === "english"
        ? (passage.text.toLowerCase().match(/[a-z]+/g) ?? []).flatMap((word) => bySign.get(word) ?? [])[0]
        : subjects.find(({ prose }) => passage.text.includes(prose));
    if (subject === undefined) continue;
    const found = bySubject.get(subject);
    if (found === undefined) bySubject.set(subject, [passage]);
    else found.push(passage);
  }
  return { all, continued: all.filter(({ next }) => next !== undefined), bySubject };
}
