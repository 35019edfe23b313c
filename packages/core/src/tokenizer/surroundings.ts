// What stands around a tokenizer in Hugging Face's layout: `tokenizer_config.json`, or in older checkpoints
// `added_tokens.json` and `special_tokens_map.json`. They add tokens behind the vocabulary, say which tokens are
// special, what BOS and EOS are and whether they are put around a text, and how text between added tokens begins.
//
// As in transformers, `added_tokens_decoder` silences the two older files; special tokens that nobody gave an id follow
// the last token in the order below. What contradicts the vocabulary is refused by name, where transformers would let
// one token hide another. An empty name, as early conversions of LLaMA have it, says nothing: the vocabulary's own
// token stands. Source: transformers 4.57, tokenization_utils_base.py (_from_pretrained), tokenization_utils.py
// (__init__, _add_tokens), models/llama/tokenization_llama.py.

import { type Notice, refuse, shown } from "./assemble.ts";
import { plainToken } from "./cutting.ts";
import { type AddedToken, checkTokenCount, readAddedTokenFlags } from "./json/added-tokens.ts";
import { type JsonObject, jsonObject } from "./json/fields.ts";
import { emptyToken, noticeEmpty, noticeUnnamed } from "./nameless.ts";

/** Parsed files; undefined where there is none. */
export interface TokenizerSurroundings {
  readonly tokenizerConfig?: unknown;
  readonly addedTokens?: unknown;
  readonly specialTokensMap?: unknown;
}

const attributes = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;
export type SpecialAttribute = (typeof attributes)[number];

export interface Surroundings {
  readonly config: JsonObject | undefined;
  /** Added tokens with their ids, in the order of these; some may be part of the vocabulary. */
  readonly added: readonly AddedToken[];
  /** Ids of tokens with an empty name. */
  readonly nameless: readonly number[];
  /** Name of the file that added tokens stand in. */
  readonly addedIn: string;
  /** Name of a special token; null where the files say that there is none, undefined where they say nothing. */
  special(attribute: SpecialAttribute): string | null | undefined;
  /** Names of all special tokens, each with the field that has it. */
  readonly specials: ReadonlyMap<string, string>;
}

/** @throws {PolyllamaError} `ERR_TOKENIZER` for fields of the wrong type. */
export function readSurroundings(files: TokenizerSurroundings, source: string): Surroundings {
  const open = (value: unknown, name: string): JsonObject | undefined =>
    value === undefined ? undefined : jsonObject(value, name, source);
  const config = open(files.tokenizerConfig, "tokenizer_config.json");
  const isNew = config?.get("added_tokens_decoder") !== undefined;
  const older = isNew ? undefined : open(files.specialTokensMap, "special_tokens_map.json");

  const places = [older, config].filter((place) => place !== undefined);
  const specials = new Map<string, string>();
  for (const attribute of attributes) {
    const place = places.find((one) => says(one, attribute));
    if (place !== undefined) note(specials, tokenName(place, attribute), `${place.path}: ${attribute}`);
  }
  for (const place of places) {
    for (const key of ["additional_special_tokens", "extra_special_tokens"]) {
      if (!Array.isArray(place.get(key))) continue; // some write an object of names for their own code
      checkTokenCount(place, place.list(key).length);
      for (const [index, value] of place.list(key).entries()) {
        const path = `${place.path}.${key}[${index}]`;
        const name = typeof value === "string" ? value : jsonObject(value, path, source).string("content");
        note(specials, name, `${place.path}: ${key}`);
      }
    }
  }
  const added = isNew
    ? decoderTokens(config.object("added_tokens_decoder"))
    : olderTokens(files.addedTokens, specials, source);
  return {
    config,
    added: added.filter(({ content }) => content !== ""),
    nameless: added.filter(({ content }) => content === "").map(({ id }) => id),
    addedIn: isNew ? "tokenizer_config.json" : "added_tokens.json",
    special(attribute) {
      const place = places.find((one) => says(one, attribute));
      if (place !== undefined) return tokenName(place, attribute);
      return config?.keys().includes(attribute) && config.get(attribute) === undefined ? null : undefined;
    },
    specials,
  };
}

function note(specials: Map<string, string>, name: string, from: string): void {
  if (name !== "" && !specials.has(name)) specials.set(name, from);
}

const says = (place: JsonObject, attribute: SpecialAttribute): boolean =>
  place.get(attribute) !== undefined && tokenName(place, attribute) !== "";

/** A token's name: text, or an object with `content`. */
function tokenName(place: JsonObject, key: string): string {
  const value = place.get(key);
  return typeof value === "string" ? value : place.object(key).string("content");
}

function decoderTokens(decoder: JsonObject): readonly AddedToken[] {
  checkTokenCount(decoder, decoder.keys().length);
  return decoder
    .keys()
    .map((key) => readAddedTokenFlags(decoder.object(key), idOf(key, decoder)))
    .sort((a, b) => a.id - b.id);
}

function idOf(key: string, decoder: JsonObject): number {
  return /^\d{1,9}$/.test(key) ? Number(key) : decoder.refuse(`has ${shown(key)} where an id is expected`);
}

function olderTokens(value: unknown, specials: ReadonlyMap<string, string>, source: string): readonly AddedToken[] {
  if (value === undefined) return [];
  const file = jsonObject(value, "added_tokens.json", source);
  checkTokenCount(file, file.keys().length);
  return file
    .keys()
    .map((name) => plainToken(file.count(name), name, specials.has(name)))
    .sort((a, b) => a.id - b.id);
}

/** Ids beyond the vocabulary that nothing names; more are a mistake rather than a gap. */
const mostUnnamed = 4096;

/**
 * All tokens of a vocabulary of `pieces` that the files add, by id without gaps, behind it.
 *
 * @param rows Rows of the embedding table, where they are known.
 * @throws {PolyllamaError} `ERR_TOKENIZER` where files and vocabulary contradict each other.
 */
export function tokensBehind(
  pieces: readonly string[],
  { added, addedIn, nameless, specials }: Surroundings,
  source: string,
  rows: number | undefined,
  notice: Notice,
): readonly AddedToken[] {
  const ids = new Map<string, number>();
  for (const [id, piece] of pieces.entries()) if (!ids.has(piece)) ids.set(piece, id);
  const behind: AddedToken[] = [];
  let unnamed = 0;
  const put = (token: AddedToken): void => {
    ids.set(token.content, token.id);
    behind.push(token);
  };
  const fillTo = (id: number, says: string): void => {
    unnamed += Math.max(0, id - pieces.length - behind.length);
    if (unnamed > mostUnnamed) refuse(source, `${says}, but the vocabulary ends at ${pieces.length - 1}. ${wayOut}`);
    while (pieces.length + behind.length < id) put(emptyToken(pieces.length + behind.length));
  };
  for (const token of added) {
    const { id, content } = token;
    const says = `${addedIn} says that token ${id} is ${shown(content)}`;
    const known = id < pieces.length ? pieces[id] : behind[id - pieces.length]?.content;
    if (known !== undefined && known !== content)
      refuse(source, `${says}, but it is ${shown(known)} in the vocabulary. ${wayOut}`);
    const other = ids.get(content);
    if (known === undefined && other !== undefined) refuse(source, `${says}, but that is token ${other}. ${wayOut}`);
    if (known !== undefined) continue;
    fillTo(id, says);
    put(token);
  }
  for (const id of nameless) {
    if (id < pieces.length) noticeEmpty(notice, addedIn, id, pieces[id]);
    else fillTo(id + 1, `${addedIn} has a token ${id} without a name`);
  }
  noticeUnnamed(notice, addedIn, unnamed);
  for (const [name, from] of specials) {
    if (ids.has(name)) continue;
    const id = pieces.length + behind.length;
    if (rows !== undefined && id < rows) put(plainToken(id, name, true));
    else
      notice(`${from} is ${shown(name)}, which is not in the vocabulary and for which no row is known; it is left out`);
  }
  return behind;
}

const wayOut = "Correct that file, or take it away";
