// The pieces of a GGUF vocabulary, as odd as files have them: empty ones, two that are alike, bytes that are not marked
// as such, scores or kinds that are missing. What llama.cpp reads is read as it reads it, and what it refuses only for
// its own sake (equal pieces, scores of 64 bits) is read too; each time something was made good, a notice says so.
// Source: llama.cpp, src/llama-vocab.cpp (load, byte_to_token).

import { endTokenNames } from "../end-tokens.ts";
import { refuse } from "./assemble.ts";
import type { GgufFields } from "./gguf-fields.ts";
import { byteOfPiece, pieceKind } from "./vocabulary.ts";

export interface GgufPieces {
  readonly pieces: readonly string[];
  readonly scores: Float32Array;
  readonly kinds: number[];
  /** Ids of pieces that an earlier id spells too. */
  readonly unreachable: ReadonlySet<number>;
}

/** @throws {PolyllamaError} `ERR_TOKENIZER` when there are no pieces, or fewer scores or kinds than pieces. */
export function readGgufPieces(fields: GgufFields, unknown: number | undefined): GgufPieces {
  const { source, notice } = fields;
  const pieces = fields.strings("tokens").map((stored, id) => {
    const [piece = ""] = stored.split("\0", 1); // llama.cpp's strings end there
    return piece === "" ? `[EMPTY_${id}]` : piece;
  });
  const empty = pieces.filter((piece, id) => piece === `[EMPTY_${id}]`).length;
  if (empty > 0)
    notice(`${counted(empty, "piece is", "pieces are")} empty and named as llama.cpp names them, [EMPTY_id]`);

  const unreachable = new Set<number>();
  const first = new Map<string, number>();
  for (const [id, piece] of pieces.entries()) {
    const other = first.get(piece);
    if (other === undefined) {
      first.set(piece, id);
      continue;
    }
    if (unreachable.size === 0)
      notice(`the pieces ${other} and ${id} are both ${JSON.stringify(piece)}; text becomes the first`);
    unreachable.add(id);
  }

  const scores = fields.numbers("scores", pieces.length);
  if (scores === undefined) notice("tokenizer.ggml.scores is missing; pieces merge from left to right");
  for (const [id] of pieces.entries()) {
    if (scores !== undefined && Number.isNaN(scores[id])) refuse(source, `the score of piece ${id} is NaN`);
  }
  return {
    pieces,
    scores: Float32Array.from(pieces, (_, id) => scores?.[id] ?? 0),
    kinds: kindsOf(fields, pieces, unknown),
    unreachable,
  };
}

function kindsOf(fields: GgufFields, pieces: readonly string[], unknown: number | undefined): number[] {
  const { notice } = fields;
  const types = fields.numbers("token_type", pieces.length);
  if (types === undefined)
    notice("tokenizer.ggml.token_type is missing; bytes and control tokens are known by their names");
  const marked = new Set(pieces.map((piece, id) => (types?.[id] === pieceKind.byte ? byteOfPiece(piece) : -1)));
  let [bytes, strange] = [0, 0];
  const kinds = pieces.map((piece, id): number => {
    const type = types?.[id] ?? pieceKind.normal;
    const byte = byteOfPiece(piece);
    if (byte >= 0 && type === pieceKind.normal && !marked.has(byte)) {
      bytes++;
      return pieceKind.byte;
    }
    if (
      type >= pieceKind.normal &&
      type <= pieceKind.byte &&
      Number.isInteger(type) &&
      (type !== pieceKind.byte || byte >= 0)
    )
      return type;
    strange++;
    return pieceKind.normal;
  });
  if (types === undefined && unknown !== undefined) kinds[unknown] = pieceKind.unknown;
  if (types !== undefined && bytes > 0) {
    notice(
      `${counted(bytes, "piece spells a byte and is", "pieces spell bytes and are")} read as such, though not marked so`,
    );
  }
  if (strange > 0)
    notice(`${counted(strange, "piece has", "pieces have")} a kind that there is not, and is read as text`);
  // llama.cpp makes control tokens of those that end a text by their name.
  for (const [id, piece] of pieces.entries()) {
    if (endTokenNames.includes(piece) && kinds[id] !== pieceKind.unknown) kinds[id] = pieceKind.control;
  }
  return kinds;
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
