// The corpora's files as documents of three sources, each cleaned by what suits it: a poem of thirty characters repeats
// another one by other measures than a chapter.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type CleanSource, cleanSource } from "./clean.ts";
import { cutSection, type PoetDocument, type SourceName } from "./document.ts";
import { readBook } from "./english.ts";
import { readNovel } from "./novels.ts";
import { readPoems } from "./poems.ts";

const poemsFile = "chinese-poetry-quantangshi.txt";
const shortest = 100;

/** @param corpora A folder with `en` and `zh`. */
export async function readSources(corpora: string): Promise<ReadonlyMap<SourceName, CleanSource>> {
  const { poems } = readPoems(await readFile(join(corpora, "zh", poemsFile), "utf8"));
  return new Map<SourceName, CleanSource>([
    [
      "english",
      cleanSource(await readBooks(join(corpora, "en"), readBook, "\n\n", 8000), {
        threshold: 0.6,
        ngram: 6,
        overlap: 16,
        heldOut: 200,
        validation: 50,
      }),
    ],
    [
      "novels",
      cleanSource(await readBooks(join(corpora, "zh"), readNovel, "\n", 6000), {
        threshold: 0.6,
        ngram: 4,
        overlap: 8,
        heldOut: 20,
        validation: 10,
      }),
    ],
    ["poems", cleanSource(poems, { threshold: 0.6, ngram: 2, overlap: 3, heldOut: 200, validation: 200 })],
  ]);
}

async function readBooks(
  folder: string,
  read: (text: string) => ReturnType<typeof readBook>,
  between: string,
  most: number,
): Promise<readonly PoetDocument[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith(".txt") && file !== poemsFile).sort();
  const documents: PoetDocument[] = [];
  for (const file of files) {
    const sections = read((await readFile(join(folder, file), "utf8")).replace(/^\ufeff/, ""));
    const name = file.replace(/\.txt$/, "");
    documents.push(...sections.flatMap((section) => cutSection(section, name, between, most)));
  }
  return documents.filter(({ text }) => text.length >= shortest);
}
