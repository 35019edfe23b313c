// Finding texts that were there before: the same but for case, width, punctuation and white space, or nearly the same.
// Near ones are found by their signatures: places of a signature are cut into bands, and texts that agree in a whole
// band are compared in all places. What is kept in memory is a hash and a signature for each text, not the text.

import { checkOptions, type OptionSchema, option } from "@polyllama/core";
import { textHash } from "./hash.ts";
import { minHash, shingles } from "./min-hash.ts";
import { comparable } from "./normalize.ts";

/** What counts as a near duplicate. */
export interface DuplicateOptions {
  /**
   * From which share of common n-grams on (Jaccard, estimated) a text counts as a near duplicate; 1 looks for none.
   * Default 0.8.
   */
  readonly threshold?: number;
  /** Characters of an n-gram. Default 5; 2 or 3 suit short Chinese texts. */
  readonly ngram?: number;
}

/** A text that was there before. */
export interface Duplicate {
  readonly kind: "exact" | "near";
  /** Of the earlier text: how many texts had been kept before it. */
  readonly of: number;
  /** Estimated share of common n-grams; 1 for an exact duplicate. */
  readonly similarity: number;
}

/** Remembers the texts that it is shown. */
export interface DuplicateFinder {
  /** What the text repeats; undefined for a new one, which is remembered. Texts without a letter or digit are new. */
  add(text: string): Duplicate | undefined;
  /** Texts that are remembered. */
  readonly kept: number;
}

const duplicateOptionTypes: OptionSchema<DuplicateOptions> = {
  threshold: option.number({ least: 0.1, most: 1 }),
  ngram: option.integer({ least: 1, most: 64 }),
};

const places = 64;

/** Up to 2^24 different texts, with some 700 bytes for each. @throws {OptionError} */
export function createDuplicateFinder(options: DuplicateOptions = {}): DuplicateFinder {
  checkOptions(options, duplicateOptionTypes, "createDuplicateFinder");
  const { threshold = 0.8, ngram = 5 } = options;
  const exact = new Map<string, number>();
  const near = threshold < 1 ? nearFinder(threshold, ngram) : undefined;
  let kept = 0;
  return {
    get kept() {
      return kept;
    },
    add(text) {
      const letters = comparable(text);
      if (letters === "") {
        near?.add(letters);
        kept++;
        return undefined;
      }
      const hash = textHash(letters);
      const same = exact.get(hash);
      if (same !== undefined) return { kind: "exact", of: same, similarity: 1 };
      const similar = near?.add(letters);
      if (similar !== undefined) return similar;
      exact.set(hash, kept++);
      return undefined;
    },
  };
}

/** The longest bands, so the fewest comparisons, that still find 19 of 20 texts at the threshold. */
export function bandRows(threshold: number): number {
  const found = (rows: number): number => 1 - (1 - threshold ** rows) ** (places / rows);
  return [16, 8, 4, 2].find((rows) => found(rows) >= 0.95) ?? 1;
}

interface NearFinder {
  add(letters: string): Duplicate | undefined;
}

function nearFinder(threshold: number, ngram: number): NearFinder {
  const rows = bandRows(threshold);
  const sign = minHash(places);
  const signature = new Uint32Array(places);
  const bands = Array.from({ length: places / rows }, () => new Map<number, number>()); // by hash: the first such text
  let signatures = new Uint32Array(places * 1024);
  let kept = 0;

  const bandHash = (band: number): number => {
    let hash = 0;
    for (const value of signature.subarray(band * rows, (band + 1) * rows)) hash = (Math.imul(hash, 31) + value) | 0;
    return hash;
  };
  const similarity = (text: number): number => {
    let equal = 0;
    for (let place = 0; place < places; place++) {
      if (signature[place] === signatures[text * places + place]) equal++;
    }
    return equal / places;
  };
  const remember = (): void => {
    if ((kept + 1) * places > signatures.length) {
      const larger = new Uint32Array(2 * signatures.length);
      larger.set(signatures);
      signatures = larger;
    }
    signatures.set(signature, kept++ * places);
  };

  return {
    add(letters) {
      if (letters === "") {
        signature.fill(0);
        remember(); // a place of its own, which nothing is compared with
        return undefined;
      }
      sign(shingles(letters, ngram), signature);
      const hashes = bands.map((_, band) => bandHash(band));
      for (const [band, texts] of bands.entries()) {
        const of = texts.get(hashes[band]!);
        if (of === undefined) continue;
        const share = similarity(of);
        if (share >= threshold) return { kind: "near", of, similarity: share };
      }
      for (const [band, texts] of bands.entries()) {
        if (!texts.has(hashes[band]!)) texts.set(hashes[band]!, kept);
      }
      remember();
      return undefined;
    },
  };
}
