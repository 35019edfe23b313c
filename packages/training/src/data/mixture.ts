// Several sources as one endless order of documents, each source with a share of the tokens. The next document is of
// the source that is furthest behind its share, so that shares hold within any stretch; within a source, each epoch is
// a shuffled order of all its documents.

import { OptionError } from "@polyllama/core";
import type { DocumentSource } from "./document-source.ts";
import { hash32 } from "./hash.ts";
import { permutation } from "./permutation.ts";

/** A source with its share. */
export interface MixturePart {
  /** Its name, in positions and reports. */
  readonly name: string;
  readonly source: DocumentSource;
  /** Share of the tokens, by the sum of all weights. Default: its number of tokens, which draws all sources alike. */
  readonly weight?: number;
}

/** How much was drawn of a source; a part of positions, which are JSON. */
export type Drawn = {
  readonly documents: number;
  readonly tokens: number;
};

/** What was drawn of each part, in their order. */
export type DrawnOfParts = readonly Drawn[];

/** The order that documents are drawn in. */
export interface Mixture {
  readonly parts: readonly Required<MixturePart>[];
  /** Which part is drawn from next. */
  nextPart(drawn: DrawnOfParts): number;
  /** The document that a part gives as its n-th, from 0. */
  document(part: number, nth: number): number;
}

/** @throws {OptionError} for no parts, empty sources, names given twice, or weights that are not above 0. */
export function createMixture(parts: readonly MixturePart[], seed: number): Mixture {
  const all = parts.map((part) => ({ ...part, weight: part.weight ?? part.source.tokens }));
  checkParts(all);
  const orders = all.map(() => ({ epoch: -1, at: (place: number) => place }));
  return {
    parts: all,
    nextPart(drawn) {
      const behind = all.map(({ weight }, part) => drawn[part]!.tokens / weight);
      return behind.indexOf(Math.min(...behind));
    },
    document(part, nth) {
      const { name, source } = all[part]!;
      const epoch = Math.floor(nth / source.documents);
      if (orders[part]!.epoch !== epoch) {
        orders[part] = { epoch, at: permutation(source.documents, hash32(`${name}\n${epoch}`, seed)) };
      }
      return orders[part]!.at(nth % source.documents);
    },
  };
}

function checkParts(parts: readonly Required<MixturePart>[]): void {
  const refuse = (option: string, expected: string, value: unknown): never => {
    throw new OptionError(`The mixture's ${option} must be ${expected}.`, { option, expected, value });
  };
  if (parts.length === 0) refuse("parts", "one source or more", parts);
  for (const [index, { name, source, weight }] of parts.entries()) {
    if (parts.findIndex((other) => other.name === name) !== index) refuse(`parts[${index}].name`, "of no other", name);
    if (!(source.documents > 0)) refuse(`parts[${index}].source`, "a source that has documents", source.documents);
    if (!(weight > 0 && Number.isFinite(weight))) refuse(`parts[${index}].weight`, "a number above 0", weight);
  }
}
