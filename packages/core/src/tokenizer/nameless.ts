// Added tokens that have an id but no name, and names of BOS and EOS that have no id. Both are accepted as llama.cpp's
// converter accepts them, with a notice: an empty name says nothing of a piece, and behind the pieces one is made up;
// BOS and EOS are the vocabulary's own.

import { type Notice, shown } from "./assemble.ts";
import { plainToken } from "./cutting.ts";
import type { AddedToken } from "./json/added-tokens.ts";

/** What llama.cpp calls a token without a name. */
export function emptyToken(id: number): AddedToken {
  return plainToken(id, `[EMPTY_${id}]`, true);
}

export function noticeEmpty(notice: Notice, file: string, id: number, piece: string | undefined): void {
  notice(`${file} gives token ${id} an empty name; it stays ${shown(piece)}, as the vocabulary has it`);
}

export function noticeUnnamed(notice: Notice, file: string, count: number): void {
  if (count === 0) return;
  const ids = count === 1 ? "1 id" : `${count} ids`;
  notice(`${file} leaves ${ids} behind the vocabulary without a name; there the tokens are called [EMPTY_id]`);
}

/** BOS or EOS where the files name one that is no token: the vocabulary's own, as in llama.cpp. */
export function ownInstead(
  attribute: "bos_token" | "eos_token",
  own: number | undefined,
  pieces: readonly string[],
  notice: Notice,
): number | undefined {
  const name = attribute === "bos_token" ? "BOS" : "EOS";
  notice(
    own === undefined
      ? `there is no ${name} in its place`
      : `${name} is the vocabulary's own in its place, token ${own}, ${shown(pieces[own])}`,
  );
  return own;
}

/** Added tokens with a name each: an empty one says nothing of a piece, and is made up behind the pieces. */
export function withNames(
  tokens: readonly AddedToken[],
  vocabulary: ReadonlyMap<string, number>,
  notice: Notice,
): readonly AddedToken[] {
  if (tokens.every(({ content }) => content !== "")) return tokens;
  const pieces = new Map([...vocabulary].map(([piece, id]) => [id, piece]));
  const empty = tokens.filter(({ content }) => content === "").map(({ id }) => id);
  for (const id of empty.filter((id) => pieces.has(id))) noticeEmpty(notice, "tokenizer.json", id, pieces.get(id));
  noticeUnnamed(notice, "tokenizer.json", empty.filter((id) => !pieces.has(id)).length);
  return tokens.flatMap((token) => (token.content !== "" ? token : pieces.has(token.id) ? [] : emptyToken(token.id)));
}
