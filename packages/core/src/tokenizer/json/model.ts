// The BPE model of tokenizer.json. Pieces have no scores here: the list of merges, by its order, is the model, and a
// piece that no merge makes is never made.
// Source: github.com/huggingface/tokenizers, tokenizers/src/models/bpe (model.rs, word.rs).

import { quoted } from "../../printable.ts";
import { shown } from "../assemble.ts";
import { mergeSymbols } from "../merge.ts";
import { utf8Encode } from "../utf8.ts";
import type { JsonObject } from "./fields.ts";

export interface BpeModel {
  readonly vocabulary: ReadonlyMap<string, number>;
  /** The piece of what has no other. */
  readonly unknown: number | undefined;
  /** Pieces of single bytes, where characters without a piece are written so. */
  readonly bytes: ReadonlySet<number>;
  /** Ids of a word. Ids in `excluded` are never among them, even where the text spells their names. */
  segment(word: string, excluded: ReadonlySet<number>): number[];
}

/**
 * @throws {PolyllamaError} `ERR_TOKENIZER` when the model is not such a BPE, or its merges are not within the
 * vocabulary.
 */
export function readModel(json: JsonObject): BpeModel {
  const type = json.get("type") ?? "BPE"; // older files do not name it
  if (type !== "BPE") json.refuse(`has the type ${shown(type)}; known is BPE`);
  for (const key of ["dropout", "continuing_subword_prefix", "end_of_word_suffix"]) {
    const value = json.get(key);
    if (value !== undefined && value !== 0 && value !== "") json.refuse(`has a ${key}, which is not supported`);
  }
  const vocabulary = readVocabulary(json);
  const merges = readMerges(json, vocabulary);
  const { results, priorities } = merges;
  const byteFallback = json.boolean("byte_fallback", false);
  const fuseUnknown = json.boolean("fuse_unk", false);
  const ignoreMerges = json.boolean("ignore_merges", false);
  const unknown = json.get("unk_token") === undefined ? undefined : vocabulary.get(json.string("unk_token"));
  if (unknown === undefined && json.get("unk_token") !== undefined) {
    json.refuse(`has the unk_token ${shown(json.get("unk_token"))}, which is not in its vocabulary`);
  }
  const bytes = Array.from({ length: 256 }, (_, byte) =>
    vocabulary.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`),
  );

  /** The symbols that a word consists of before anything is merged. */
  const symbolsOf = (word: string, excluded: ReadonlySet<number>): number[] => {
    const symbols: number[] = [];
    let afterUnknown = false;
    for (const character of word) {
      const id = vocabulary.get(character);
      const known = id !== undefined && !excluded.has(id);
      const fallback = known || !byteFallback ? [] : Array.from(utf8Encode(character), (byte) => bytes[byte]);
      if (known) symbols.push(id);
      else if (byteFallback && fallback.every((byte) => byte !== undefined)) symbols.push(...fallback);
      else {
        if (unknown === undefined)
          json.refuse(`has neither a piece, nor bytes, nor an unk_token for ${quoted(character)}`);
        if (!(afterUnknown && fuseUnknown)) symbols.push(unknown);
        afterUnknown = true;
        continue;
      }
      afterUnknown = false;
    }
    return symbols;
  };

  return {
    vocabulary,
    unknown,
    bytes: new Set(byteFallback ? bytes.filter((id) => id !== undefined) : []),
    segment(word, excluded) {
      const whole = ignoreMerges ? vocabulary.get(word) : undefined;
      if (whole !== undefined && !excluded.has(whole)) return [whole];
      const symbols = symbolsOf(word, excluded);
      const next = mergeSymbols(symbols.length, {
        priorities,
        find(left, right) {
          const rule = merges.find(symbols[left]!, symbols[right]!);
          return rule >= 0 && excluded.has(results[rule]!) ? -1 : rule;
        },
        merge(left, _right, rule) {
          symbols[left] = results[rule]!;
        },
      });
      const ids: number[] = [];
      for (let symbol = symbols.length > 0 ? 0 : -1; symbol >= 0; symbol = next[symbol]!) ids.push(symbols[symbol]!);
      return ids;
    },
  };
}

function readVocabulary(json: JsonObject): ReadonlyMap<string, number> {
  const object = json.object("vocab");
  const entries = Object.keys(json.get("vocab") as object); // an object, by the line above
  return new Map(entries.map((piece) => [piece, object.count(piece)]));
}

interface Merges {
  /** By rank: the id that the merge makes. */
  readonly results: readonly number[];
  /** By rank. */
  readonly priorities: Int32Array;
  /** Rank of the merge of two ids, or -1. */
  find(left: number, right: number): number;
}

function readMerges(json: JsonObject, vocabulary: ReadonlyMap<string, number>): Merges {
  let width = 1;
  for (const id of vocabulary.values()) width = Math.max(width, id + 1);
  const ranks = new Map<number, number>(); // by left * width + right
  const results: number[] = [];
  for (const entry of json.list("merges")) {
    if (typeof entry === "string" && entry.startsWith("#version")) continue;
    const pair: readonly unknown[] = typeof entry === "string" ? entry.split(" ") : Array.isArray(entry) ? entry : [];
    const [left, right] = pair;
    if (pair.length !== 2 || typeof left !== "string" || typeof right !== "string") {
      return json.refuse(`has the merge ${shown(entry)}, which is not a pair`);
    }
    const [a, b, whole] = [left, right, left + right].map((piece) => {
      return (
        vocabulary.get(piece) ??
        json.refuse(`merges ${quoted(left)} and ${quoted(right)}, but ${quoted(piece)} is not in its vocabulary`)
      );
    });
    ranks.set(a! * width + b!, results.length); // of equal pairs the last counts
    results.push(whole!);
  }
  return {
    results,
    priorities: Int32Array.from(results, (_, rank) => -rank),
    find: (left, right) => ranks.get(left * width + right) ?? -1,
  };
}
