// What a checkpoint means to text, as keys of a GGUF file: the vocabulary with added tokens and their kinds, BOS and
// EOS, every end token, the chat template, the recommended sampling. llama.cpp reads all of it, so the file is checked
// here with its way of cutting and merging text, and where that gives other tokens than the source, a note says so.
// Source: github.com/ggml-org/ggml, docs/gguf.md; llama.cpp, src/llama-vocab.cpp and common/common.cpp (names of keys).

import { readFile } from "node:fs/promises";
import { parseJson, type TextSetup, type Tokenizer, textSetupFromGguf, tokenizerFromGguf } from "@polyllama/core";
import type { Checkpoint } from "../checkpoint.ts";
import { differingText } from "../compare-text.ts";
import { asObject } from "../json.ts";
import { addedTokensKey } from "../read/text-files.ts";
import { completedPieces, type PieceKeys, piecesOfJson } from "./pieces.ts";

/** What it is made of; every checkpoint is it. */
export type TextContent = Pick<Checkpoint, "tokenizer" | "text" | "metadata" | "companions" | "config">;

/** A tokenizer.json that goes along as it is, so that reading it here gives the same tokens in any case. */
export const wholeJson = "tokenizer.huggingface.json";

/** Keys and values. @param note Hears what llama.cpp will not do as the source does. */
export async function ggufText(
  content: TextContent,
  note: (text: string) => void,
): Promise<ReadonlyMap<string, unknown>> {
  const { tokenizer, text, metadata, config } = content;
  if (tokenizer === undefined) return new Map([["tokenizer.ggml.model", "no_vocab"]]);
  const keys = new Map<string, unknown>([["tokenizer.ggml.model", "llama"]]);
  if (metadata.has("tokenizer.ggml.tokens")) {
    for (const [key, value] of metadata) if (key.startsWith("tokenizer.")) keys.set(key, value);
    putPieces(keys, completedPieces(storedPieces(metadata), tokenizer, config.vocabSize));
  } else {
    const path = content.companions?.get("tokenizer.json");
    const json = path === undefined ? undefined : await readFile(path, "utf8");
    putPieces(keys, completedPieces(piecesOfJson(tokenizer, json), tokenizer, config.vocabSize));
    if (json !== undefined) keys.set(wholeJson, json);
    const beside = json === undefined ? undefined : addedBeside(json, content);
    if (beside !== undefined) keys.set(addedTokensKey, JSON.stringify(beside));
  }
  const flagged = flaggedTokens(keys, tokenizer);
  if (flagged.length > 0) {
    const names = flagged.slice(0, 3).map((name) => JSON.stringify(name));
    note(
      `llama.cpp has no place for lstrip, rstrip and single_word of added tokens, here of ${names.join(", ")}` +
        `${flagged.length > 3 ? ` and ${flagged.length - 3} more` : ""}; they are kept for polyllama alone`,
    );
  }
  putSetup(keys, text, tokenizer);
  for (const id of putEnds(keys, text, tokenizer)) {
    note(
      `llama.cpp has no key for one more end token; it will not end texts at ${id}, ${JSON.stringify(tokenizer.piece(id))}`,
    );
  }
  fitPrefix(keys, tokenizer, note);
  if (
    Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.kind(id)).filter((kind) => kind === "byte")
      .length < 256
  )
    note("llama.cpp breaks off at a character without a piece, since the vocabulary has not a piece for every byte");
  return keys;
}

type Flags = Readonly<Record<string, unknown>>;

/**
 * Added tokens that a tokenizer.json does not have itself, but the files beside it: as `added_tokens_decoder` has them.
 */
function addedBeside(json: string, { tokenizer, metadata }: TextContent): Flags | undefined {
  const own = asObject(parseJson(json, "tokenizer.json"))?.["added_tokens"];
  const known = new Set((Array.isArray(own) ? own : []).map((token) => asObject(token)?.["id"]));
  const decoder = asObject(asObject(metadata.get("tokenizer_config.json"))?.["added_tokens_decoder"]) ?? {};
  const found: [string, unknown][] = [];
  for (let id = 0; tokenizer !== undefined && id < tokenizer.vocabSize; id++) {
    const kind = tokenizer.kind(id);
    if (known.has(id) || (kind !== "control" && kind !== "user-defined")) continue;
    const flags = { lstrip: false, normalized: false, rstrip: false, single_word: false };
    const special = kind === "control";
    found.push([String(id), { ...flags, ...asObject(decoder[id]), content: tokenizer.piece(id), special }]);
  }
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

/** Names of added tokens with flags for which GGUF's own keys have no place. */
function flaggedTokens(keys: ReadonlyMap<string, unknown>, tokenizer: Tokenizer): readonly string[] {
  const parsed = (key: string): unknown => {
    const text = keys.get(key);
    return typeof text === "string" ? parseJson(text, key) : undefined;
  };
  const own = asObject(parsed(wholeJson))?.["added_tokens"];
  const tokens = [
    ...Object.entries(asObject(parsed(addedTokensKey)) ?? {}).map(([id, token]) => [Number(id), token]),
    ...(Array.isArray(own) ? own : []).map((token) => [asObject(token)?.["id"], token]),
  ] as const;
  return tokens.flatMap(([id, token]) => {
    const flags = asObject(token);
    const has = ["lstrip", "rstrip", "single_word"].some((flag) => flags?.[flag] === true);
    return has && typeof id === "number" && id < tokenizer.vocabSize ? [tokenizer.piece(id)] : [];
  });
}

function storedPieces(metadata: ReadonlyMap<string, unknown>): PieceKeys {
  const list = (key: string): readonly unknown[] | undefined => {
    const value = metadata.get(`tokenizer.ggml.${key}`);
    // of numbers
    return Array.isArray(value) || ArrayBuffer.isView(value) ? Array.from(value as ArrayLike<unknown>) : undefined;
  };
  return {
    tokens: list("tokens")?.map(String) ?? [],
    scores: list("scores")?.map(Number),
    types: list("token_type")?.map(Number),
  };
}

function putPieces(keys: Map<string, unknown>, { tokens, scores, types }: PieceKeys): void {
  keys.set("tokenizer.ggml.tokens", tokens);
  if (scores !== undefined) keys.set("tokenizer.ggml.scores", scores);
  if (types !== undefined) keys.set("tokenizer.ggml.token_type", types);
}

const samplingKeys = [
  ["temperature", "temp"],
  ["topK", "top_k"],
  ["topP", "top_p"],
  ["minP", "min_p"],
  ["repetitionPenalty", "penalty_repeat"],
] as const;

function putSetup(keys: Map<string, unknown>, text: TextSetup, tokenizer: Tokenizer): void {
  const put = (key: string, value: unknown): void => {
    if (value !== undefined) keys.set(key, value);
  };
  put("tokenizer.ggml.bos_token_id", tokenizer.bos);
  put("tokenizer.ggml.eos_token_id", tokenizer.eos);
  put("tokenizer.ggml.add_bos_token", text.addBos);
  put("tokenizer.ggml.add_eos_token", text.addEos);
  put("tokenizer.chat_template", text.chatTemplate?.jinja);
  const { namedTemplates } = text;
  for (const { name, jinja } of namedTemplates) put(`tokenizer.chat_template.${name}`, jinja);
  if (namedTemplates.length > 0)
    put(
      "tokenizer.chat_templates",
      namedTemplates.map(({ name }) => name),
    );
  for (const [name, key] of samplingKeys) put(`general.sampling.${key}`, text.sampling[name]);
}

/** End tokens that the keys do not say yet. @returns those for which llama.cpp has no key. */
function putEnds(keys: Map<string, unknown>, text: TextSetup, tokenizer: Tokenizer): readonly number[] {
  const said = new Set(textSetupFromGguf(keys, tokenizer).ends.map(({ id }) => id));
  const missing = text.ends.map(({ id }) => id).filter((id) => !said.has(id));
  for (const key of ["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"]) {
    if (missing.length > 0 && !keys.has(key)) keys.set(key, missing.shift());
  }
  if (missing.length > 0)
    keys.set(
      "tokenizer.ggml.eog_token_ids",
      text.ends.map(({ id }) => id),
    );
  return missing;
}

/**
 * Whether a space is put in front of a text, where the source does not say it in these words: as the source's tokens
 * have it.
 */
function fitPrefix(keys: Map<string, unknown>, tokenizer: Tokenizer, note: (text: string) => void): void {
  const key = "tokenizer.ggml.add_space_prefix";
  const others = (): string | undefined => {
    const plain = new Map([...keys].filter(([name]) => !name.startsWith("tokenizer.huggingface.")));
    return differingText(tokenizer, tokenizerFromGguf(plain, "the new file"));
  };
  const different = others();
  if (different === undefined) return;
  if (keys.get(key) === undefined) {
    keys.set(key, false);
    if (others() === undefined) return;
    keys.delete(key);
  }
  note(`llama.cpp cuts some texts into other tokens than the source does, such as ${JSON.stringify(different)}`);
}
