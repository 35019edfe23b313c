// What of a source is left when repetitions and personal data are taken out, and how its documents are shared between
// training, validation and the held-out ones. Which is which depends on a document's content alone, not on its place.

import { type CleaningReport, comparable, createCleaner, createOverlapFinder, textHash } from "@polyllama/training";
import type { PoetDocument } from "./document.ts";

export interface CleanOptions {
  /** Of near duplicates: share of common n-grams, and their characters. */
  readonly threshold: number;
  readonly ngram: number;
  /** Characters of the n-grams by which parts of held-out documents are found in others. */
  readonly overlap: number;
  readonly heldOut: number;
  readonly validation: number;
}

export interface CleanSource {
  readonly training: readonly PoetDocument[];
  readonly validation: readonly PoetDocument[];
  readonly heldOut: readonly PoetDocument[];
  readonly report: CleaningReport;
  /** Documents left out since they overlap with held-out ones. */
  readonly overlapping: number;
}

/** Documents of which a third is in a held-out one, or the other way round, are not trained on. */
const mostOverlap = 0.3;

export function documentHash({ body }: PoetDocument): string {
  return textHash(comparable(body));
}

export function cleanSource(documents: readonly PoetDocument[], options: CleanOptions): CleanSource {
  const cleaner = createCleaner({ threshold: options.threshold, ngram: options.ngram });
  const kept = documents.filter(({ text, body }) => cleaner.clean(text, body) !== undefined);
  let overlapping = 0;
  const hashed = kept.map((document) => ({ document, hash: documentHash(document) }));
  hashed.sort((a, b) => (a.hash < b.hash ? -1 : 1));
  const apart = options.heldOut + options.validation;
  const chosen = hashed.slice(0, apart).map(({ document }) => document);
  const heldOut = chosen.slice(0, options.heldOut);
  const others = new Set(chosen);
  const finder = createOverlapFinder(
    heldOut.map(({ body }) => body),
    options.overlap,
  );
  const clear = ({ body }: PoetDocument): boolean => {
    if (finder.overlap(body) < mostOverlap) return true;
    overlapping++;
    return false;
  };
  return {
    training: kept.filter((document) => !others.has(document) && clear(document)),
    validation: chosen.slice(options.heldOut).filter(clear),
    heldOut,
    report: cleaner.report,
    overlapping,
  };
}
