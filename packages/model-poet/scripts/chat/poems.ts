// Poems as answers: a verse on each line, so that "four lines" means the same to a reader and to a program.

import type { PoetDocument } from "../data/document.ts";
import { type Subject, subjects } from "./subjects.ts";

export interface Poem {
  readonly title: string;
  readonly author: string;
  readonly verses: readonly string[];
}

/** Poems of one form, and where to find them. */
export interface PoemIndex {
  readonly all: readonly Poem[];
  readonly byAuthor: ReadonlyMap<string, readonly Poem[]>;
  /** By what their titles name. */
  readonly bySubject: ReadonlyMap<Subject, readonly Poem[]>;
}

/** How many verses a poem has. */
export type Form = "four" | "eight" | "other";

const longestTitle = 10;
const mostVerses = 12;

/** The poem of a document, where all its verses have five or all have seven characters. */
export function poemOf({ text }: PoetDocument): Poem | undefined {
  const [title = "", author = "", ...lines] = text.trimEnd().split("\n");
  const verses = lines.join("").match(/[^，。？！；：、]+[，。？！；：、]/g) ?? [];
  const lengths = new Set(verses.map((verse) => Array.from(verse).length - 1));
  const [length] = lengths;
  const isRegular = lengths.size === 1 && (length === 5 || length === 7);
  if (!isRegular || verses.length < 4 || verses.length > mostVerses || verses.length % 2 > 0) return undefined;
  if (Array.from(title).length > longestTitle || !/^\p{Script=Han}+$/u.test(title)) return undefined;
  return { title, author, verses };
}

export function formOf({ verses }: Poem): Form {
  if (verses.length === 4) return "four";
  return verses.length === 8 ? "eight" : "other";
}

export function poemText({ verses }: Poem): string {
  return verses.join("\n");
}

/** @param least Poems that an author must have to be asked for by name. */
export function indexPoems(poems: readonly Poem[], least: number): PoemIndex {
  const byAuthor = new Map<string, Poem[]>();
  for (const poem of poems) {
    const found = byAuthor.get(poem.author);
    if (found === undefined) byAuthor.set(poem.author, [poem]);
    else found.push(poem);
  }
  for (const [author, { length }] of byAuthor) if (length < least) byAuthor.delete(author);
  const bySubject = new Map(
    subjects.map((subject) => [subject, poems.filter(({ title }) => title.includes(subject.verse))] as const),
  );
  for (const [subject, { length }] of bySubject) if (length === 0) bySubject.delete(subject);
  return { all: poems, byAuthor, bySubject };
}
