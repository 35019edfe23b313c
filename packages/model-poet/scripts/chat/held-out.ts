// The documents that dialogues may be made of: none that is held out, by the committed list, whatever the corpora are.

import { type CleanSource, documentHash } from "../data/clean.ts";
import type { PoetDocument, SourceName } from "../data/document.ts";

export type Documents = Readonly<Record<SourceName, readonly PoetDocument[]>>;

/** @param heldOut The committed list, by source. @throws {RangeError} for a training document that is in it */
export function withoutHeldOut(
  sources: ReadonlyMap<SourceName, Pick<CleanSource, "training" | "validation">>,
  heldOut: Readonly<Record<string, readonly { readonly hash: string }[]>>,
): { readonly training: Documents; readonly validation: Documents } {
  const hashes = new Set(Object.values(heldOut).flatMap((documents) => documents.map(({ hash }) => hash)));
  const part = (name: SourceName, of: "training" | "validation"): readonly PoetDocument[] => {
    const documents = sources.get(name)?.[of] ?? [];
    const wrong = documents.find((document) => hashes.has(documentHash(document)));
    if (wrong === undefined) return documents;
    throw new RangeError(`${wrong.title} is a held-out document, and among those of ${of}; make the data again.`);
  };
  const documents = (of: "training" | "validation"): Documents => ({
    english: part("english", of),
    novels: part("novels", of),
    poems: part("poems", of),
  });
  return { training: documents("training"), validation: documents("validation") };
}
