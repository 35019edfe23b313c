// The texts that dialogues are made of, by what a request may ask for.

import type { PoetDocument, SourceName } from "../data/document.ts";
import { indexPassages, type PassageIndex } from "./passages.ts";
import { type Form, formOf, indexPoems, type PoemIndex, poemOf } from "./poems.ts";
import type { Random } from "./random.ts";
import type { Language } from "./subjects.ts";

export interface ChatCorpus {
  readonly poems: Readonly<Record<Form, PoemIndex>>;
  readonly prose: Readonly<Record<Language, PassageIndex>>;
}

/** @param least Poems of a form that an author must have to be asked for by name. */
export function createChatCorpus(
  documents: Readonly<Record<SourceName, readonly PoetDocument[]>>,
  least: number,
): ChatCorpus {
  const poems = documents.poems.flatMap((document) => poemOf(document) ?? []);
  const ofForm = (form: Form): PoemIndex =>
    indexPoems(
      poems.filter((poem) => formOf(poem) === form),
      least,
    );
  return {
    poems: { four: ofForm("four"), eight: ofForm("eight"), other: ofForm("other") },
    prose: {
      english: indexPassages(documents.english, "english"),
      chinese: indexPassages(documents.novels, "chinese"),
    },
  };
}

/** The form of a poem whose request says nothing of it: seldom four lines, so that those who ask for four get others. */
export function anyForm(random: Random): Form {
  return random.weighted<Form>([
    ["four", 0.15],
    ["eight", 0.65],
    ["other", 0.2],
  ]);
}

/** A key of an index and one of its texts, keys as often as each other. @throws where there is none */
export function pickKeyed<Key, Text>(
  random: Random,
  index: ReadonlyMap<Key, readonly Text[]>,
): { readonly key: Key; readonly text: Text } {
  const key = random.pick([...index.keys()]);
  return { key, text: random.pick(index.get(key) ?? []) };
}
