// Makes the poet's data of its corpora: documents without repetitions, some of them held out, a vocabulary, and the
// training documents as files of tokens, one for each source.
//
//   npm run poet:data -- [CORPORA] [--out FOLDER] [--vocabulary PIECES] [--coverage SHARE] [--compare TOKENIZER]

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Tokenizer, tokenizerFromSentencePiece } from "@polyllama/core";
import { type CorpusStatistics, createStatistics, encodeDocument, reportLines } from "@polyllama/training";
import { writeTokenFile } from "@polyllama/training/node";
import { documentHash } from "./data/clean.ts";
import type { PoetDocument } from "./data/document.ts";
import { readSources } from "./data/sources.ts";
import { trainPoetVocabulary } from "./data/vocabulary.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: "string", default: join(root, ".poet") },
    vocabulary: { type: "string", default: "6144" },
    coverage: { type: "string", default: "0.99" },
    compare: { type: "string", default: join(root, "packages/model-poet/files/tokenizer.model") },
  },
});
const [corpora = join(root, "../shared/data/corpora")] = positionals;
const { out } = values;
const heldOutList = fileURLToPath(new URL("../data/held-out.json", import.meta.url));

const started = performance.now();
const say = (text: string): void => console.log(`${((performance.now() - started) / 1000).toFixed(1)} s: ${text}`);
const characters = (documents: readonly PoetDocument[]): number =>
  documents.reduce((sum, { text }) => sum + Array.from(text).length, 0);
const jsonl = (documents: readonly PoetDocument[]): string =>
  documents.map(({ title, text }) => `${JSON.stringify({ title, text })}\n`).join("");
const tokensOf = (tokenizer: Tokenizer, documents: readonly PoetDocument[]): number =>
  documents.reduce((sum, { text }) => sum + tokenizer.encode(text, { bos: false, eos: false }).length, 0);
const statisticsOf = (tokenizer: Tokenizer, documents: readonly PoetDocument[]): CorpusStatistics => {
  const statistics = createStatistics();
  for (const { text } of documents) statistics.add(text, tokenizer.encode(text, { bos: false, eos: false }).length);
  return statistics.result;
};

await mkdir(out, { recursive: true });
const sources = await readSources(corpora);
const heldOut: Record<string, readonly { hash: string; title: string; characters: number }[]> = {};
for (const [name, source] of sources) {
  say(`${name}: ${source.training.length} documents to train on, ${source.overlapping} overlapped held-out ones`);
  for (const line of reportLines(source.report)) say(`  ${line}`);
  await writeFile(join(out, `${name}.held-out.jsonl`), jsonl(source.heldOut));
  await writeFile(join(out, `${name}.validation.jsonl`), jsonl(source.validation));
  heldOut[name] = source.heldOut.map((document) => ({
    hash: documentHash(document),
    title: document.title,
    characters: characters([document]),
  }));
}
await mkdir(new URL("../data/", import.meta.url), { recursive: true });
await writeFile(heldOutList, `${JSON.stringify(heldOut, undefined, 2)}\n`);

const { model, tokenizer } = await trainPoetVocabulary(sources, Number(values.vocabulary), Number(values.coverage));
await writeFile(join(out, "tokenizer.model"), model);
say(`vocabulary of ${tokenizer.vocabSize} pieces`);

const earlier = tokenizerFromSentencePiece(await readFile(values.compare), values.compare);
const summary: Record<string, unknown> = {};
for (const [name, source] of sources) {
  const encoded = (function* () {
    for (const { text } of source.training) yield encodeDocument(tokenizer, text).ids;
  })();
  const { documents, tokens } = await writeTokenFile(join(out, `${name}.tokens`), encoded, tokenizer);
  const held = characters(source.heldOut);
  summary[name] = {
    documents,
    characters: characters(source.training),
    tokens,
    heldOut: { documents: source.heldOut.length, characters: held, tokens: tokensOf(tokenizer, source.heldOut) },
    validation: { documents: source.validation.length, characters: characters(source.validation) },
    cleaning: source.report,
    overlapping: source.overlapping,
    statistics: statisticsOf(tokenizer, source.training),
    tokensPerCharacter: tokensOf(tokenizer, source.heldOut) / held,
    tokensPerCharacterBefore: tokensOf(earlier, source.heldOut) / held,
  };
  say(`${name}: ${JSON.stringify(summary[name])}`);
}
await writeFile(join(out, "summary.json"), `${JSON.stringify(summary, undefined, 2)}\n`);
