// MinHash: a signature of a text's character n-grams, in which two texts agree at as many places as their sets of
// n-grams overlap (Jaccard). Source: Broder, On the resemblance and containment of documents.

import { hash32, mix32 } from "./hash.ts";

/** The different n-grams of a text, as hashes; a shorter text is one by itself. */
export function shingles(text: string, size: number): Set<number> {
  const found = new Set<number>();
  if (text.length <= size) return found.add(hash32(text, size));
  for (let start = 0; start + size <= text.length; start++) found.add(hash32(text, size, start, start + size));
  return found;
}

/** Writes the signature of a set of hashes. */
export type Signer = (hashes: ReadonlySet<number>, signature: Uint32Array) => void;

/** @param length Places of a signature. */
export function minHash(length: number): Signer {
  const factors = Int32Array.from({ length }, (_, place) => mix32(2 * place + 1) | 1);
  const masks = Int32Array.from({ length }, (_, place) => mix32(2 * place + 2));
  return (hashes, signature) => {
    signature.fill(0xffffffff);
    for (const hash of hashes) {
      for (let place = 0; place < length; place++) {
        const value = Math.imul(hash ^ masks[place]!, factors[place]!) >>> 0;
        if (value < signature[place]!) signature[place] = value;
      }
    }
  };
}
