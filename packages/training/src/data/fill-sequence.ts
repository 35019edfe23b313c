// One sequence of a mixture: documents are drawn until it is full. What is left of the last one is the next one's.

import { ContextOverflowError, PolyllamaError } from "@polyllama/core";
import type { PackedSequence } from "../pack.ts";
import type { TokenDocument } from "./document-source.ts";
import type { Drawn, Mixture } from "./mixture.ts";

/** Where filling stands. */
export interface Fill {
  /** Of each part. */
  readonly drawn: readonly Drawn[];
  /** The last document drawn of a part is used up to this row; undefined where it is used up. */
  readonly rest: { readonly part: number; readonly row: number } | undefined;
}

interface Piece extends TokenDocument {
  readonly first: number;
  readonly rows: number;
}

/** @throws as `Sequences.next` does. */
export async function fillSequence(
  mixture: Mixture,
  before: Fill,
  length: number,
  examples: "split" | "whole",
): Promise<{ sequence: PackedSequence; after: Fill }> {
  const pieces: Piece[] = [];
  const drawn = [...before.drawn];
  let { rest } = before;
  for (let room = length; room > 0; ) {
    const part = rest?.part ?? mixture.nextPart(drawn);
    const first = rest?.row ?? 0;
    const nth = drawn[part]!.documents - (rest === undefined ? 0 : 1);
    const number = mixture.document(part, nth);
    const { name, source } = mixture.parts[part]!;
    const document = await source.read(number);
    const all = document.ids.length - 1;
    if (all < 1) {
      throw new PolyllamaError("ERR_DATA", `Document ${number} of ${name} has nothing to predict; leave it out.`);
    }
    if (rest === undefined) {
      const { documents, tokens } = drawn[part]!;
      drawn[part] = { documents: documents + 1, tokens: tokens + document.ids.length };
    }
    if (examples === "whole" && all > room) {
      if (all > length)
        throw new ContextOverflowError(all, length, `Shorten document ${number} of ${name}, or leave it out.`);
      rest = { part, row: 0 };
      break;
    }
    const rows = Math.min(room, all - first);
    pieces.push({ ...document, first, rows });
    room -= rows;
    rest = first + rows < all ? { part, row: first + rows } : undefined;
  }
  return { sequence: joined(pieces), after: { drawn, rest } };
}

function joined(pieces: readonly Piece[]): PackedSequence {
  const rows = pieces.map((piece) => piece.rows);
  const total = rows.reduce((sum, each) => sum + each, 0);
  const [tokens, targets, weights] = [new Int32Array(total), new Int32Array(total), new Float64Array(total)];
  let at = 0;
  for (const { ids, counts, first, rows } of pieces) {
    for (let row = first; row < first + rows; row++, at++) {
      const weight = counts === undefined ? 1 : counts[row + 1]!; // as many counts as tokens
      tokens[at] = ids[row]!;
      targets[at] = weight === 0 ? -1 : ids[row + 1]!;
      weights[at] = weight;
    }
  }
  return { tokens, targets, weights, rows };
}
