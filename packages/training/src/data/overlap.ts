// How much of a few texts is in another one: what keeps texts that a model is to be judged by out of its training. All
// n-grams of the few are held, so that the answer is exact, whatever the texts' lengths and wherever their parts lie.

import { shingles } from "./min-hash.ts";
import { comparable } from "./normalize.ts";

/** Compares texts with the ones that it was made of. */
export interface OverlapFinder {
  /**
   * The largest share of common n-grams with one of them, of those of the text that has fewer: 1 where one lies within
   * the other.
   */
  overlap(text: string): number;
}

/**
 * Holds the n-grams of texts, up to 2^24 different ones.
 *
 * @param ngram Characters of an n-gram: so many that unrelated texts rarely share one.
 */
export function createOverlapFinder(texts: Iterable<string>, ngram: number): OverlapFinder {
  const holders = new Map<number, number[]>(); // texts by the n-grams in them
  const sizes: number[] = [];
  for (const text of texts) {
    const found = shingles(comparable(text), ngram);
    for (const hash of found) {
      const held = holders.get(hash);
      if (held === undefined) holders.set(hash, [sizes.length]);
      else held.push(sizes.length);
    }
    sizes.push(found.size);
  }
  return {
    overlap(text) {
      const found = shingles(comparable(text), ngram);
      const common = new Map<number, number>();
      for (const hash of found) {
        for (const holder of holders.get(hash) ?? []) common.set(holder, (common.get(holder) ?? 0) + 1);
      }
      let most = 0;
      for (const [holder, count] of common) most = Math.max(most, count / Math.min(found.size, sizes[holder]!));
      return most;
    },
  };
}
