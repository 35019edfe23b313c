// Added tokens of tokenizer.json: names that are looked for in the text before anything else, and their flags. Those
// that are `special` are control tokens, found only where the caller asks for it.

import { refuse } from "../assemble.ts";
import type { Places } from "../literal.ts";
import { distances, type Matcher, nameMatcher, type Section } from "../match.ts";
import type { JsonObject } from "./fields.ts";
import type { Normalizer } from "./normalizers.ts";

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** A control token: shown and read only on request. */
  readonly special: boolean;
  /** Look for the normalized name in normalized text instead of the name in the text. */
  readonly normalized: boolean;
  /** Take the white space on the left, or right, along. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Only where no word continues on either side. */
  readonly singleWord: boolean;
}

/** More names than a vocabulary has that was made to be added to; each costs many times its text. */
const mostTokens = 2 ** 16;

/** @throws {PolyllamaError} `ERR_TOKENIZER` where a file adds more tokens than any does. */
export function checkTokenCount(where: JsonObject, count: number): void {
  if (count > mostTokens) {
    where.refuse(`has ${count} added tokens; at most ${mostTokens} are read, others belong into its vocabulary`);
  }
}

/** @throws {PolyllamaError} `ERR_TOKENIZER` */
export function readAddedTokens(file: JsonObject): AddedToken[] {
  if (file.get("added_tokens") === undefined) return [];
  checkTokenCount(file, file.list("added_tokens").length);
  return file.objects("added_tokens").map(readAddedToken);
}

function readAddedToken(token: JsonObject): AddedToken {
  return readAddedTokenFlags(token, token.count("id"));
}

/** The same where the id stands elsewhere. */
export function readAddedTokenFlags(token: JsonObject, id: number): AddedToken {
  const special = token.boolean("special", false);
  return {
    id,
    content: token.string("content"),
    special,
    normalized: token.boolean("normalized", !special),
    lstrip: token.boolean("lstrip", false),
    rstrip: token.boolean("rstrip", false),
    singleWord: token.boolean("single_word", false),
  };
}

/** Characters that normalizing all names may add beyond three for each. */
const mostGrowth = 2 ** 16;

export interface AddedTokenFinder {
  /** Cuts text at the tokens whose names are not normalized, and span none of the places. */
  raw(text: string, places: Places): Section[];
  /** Cuts normalized text at the others. */
  normalized(text: string, places: Places): Section[];
}

/**
 * @param source For errors of the normalizer.
 * @throws {PolyllamaError} `ERR_TOKENIZER` where normalized names are out of proportion.
 */
export function addedTokenFinder(tokens: readonly AddedToken[], normalize: Normalizer, source = ""): AddedTokenFinder {
  const byId = new Map(tokens.map((token) => [token.id, token]));
  let growth = 0;
  const normalName = (name: string): string => {
    const normal = normalize(name);
    growth += normal.length - 4 * name.length;
    if (growth > mostGrowth) refuse(source, "the normalizer makes the names of added tokens many times as long");
    return normal;
  };
  const raw = nameMatcher(tokens.filter((token) => !token.normalized).map(({ content, id }) => [content, id]));
  const normalized = nameMatcher(
    tokens.filter((token) => token.normalized).map(({ content, id }) => [normalName(content), id]),
  );
  return {
    raw: (text, places) => cut(text, places, raw, byId),
    normalized: (text, places) => cut(text, places, normalized, byId),
  };
}

function cut(
  text: string,
  places: Places,
  names: Matcher | undefined,
  tokens: ReadonlyMap<number, AddedToken>,
): Section[] {
  const result: Section[] = [];
  const distance = distances(places);
  let done = 0;
  for (let at = 0; names !== undefined && at < text.length; ) {
    const token = tokens.get(names.at(text, at, distance(at)));
    if (token === undefined) {
      at++;
      continue;
    }
    let start = at;
    let end = at + names.length(token.id);
    at = end;
    if (token.singleWord && touchesWord(text, start, end)) continue;
    if (token.lstrip) while (start > done && isSpace(text, start - 1)) start--;
    if (token.rstrip) while (end < text.length && isSpace(text, end)) end++;
    if (done < start) result.push({ text: text.slice(done, start), id: undefined, start: done });
    result.push({ text: text.slice(start, end), id: token.id, start });
    done = at = end;
  }
  if (done < text.length) result.push({ text: text.slice(done), id: undefined, start: done });
  return result;
}

const wordCharacter = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;

/** Whether a character of a word stands directly before or behind a name. */
function touchesWord(text: string, start: number, end: number): boolean {
  const low = (at: number): boolean => (text.charCodeAt(at) & 0xfc00) === 0xdc00;
  const before = start === 0 ? "" : text.slice(low(start - 1) ? start - 2 : start - 1, start);
  const after = end === text.length ? "" : String.fromCodePoint(text.codePointAt(end)!);
  return wordCharacter.test(before) || wordCharacter.test(after);
}

function isSpace(text: string, at: number): boolean {
  return /\p{White_Space}/u.test(text.charAt(at));
}
