// What a checkpoint means to text, as the small files of Hugging Face's layout: the tokenizer's, tokenizer_config.json
// and what generation_config.json says. A source in this layout has its own, which go along as they are; for others
// they are made so that transformers and this project read out of them what the source says.
// Source: github.com/huggingface/transformers, tokenization_llama.py, tokenization_utils.py (added_tokens_decoder).

import { readFile } from "node:fs/promises";
import { parseJson, type TextSetup, type Tokenizer } from "@polyllama/core";
import { sentencePieceFromGguf } from "@polyllama/vocabulary";
import { asObject } from "../json.ts";
import { addedTokensKey } from "../read/text-files.ts";
import { type TextContent, wholeJson } from "./gguf-text.ts";
import { piecesOfJson } from "./pieces.ts";

/** Files of the tokenizer, by name: the checkpoint's own where it has some, else made anew. */
export async function huggingFaceTextFiles(content: TextContent): Promise<ReadonlyMap<string, string | Uint8Array>> {
  const { metadata, tokenizer, companions = new Map() } = content;
  const files = new Map<string, string | Uint8Array>();
  for (const [name, path] of companions) files.set(name, await readFile(path));
  if (tokenizer === undefined) return files;
  if (!files.has("tokenizer.model") && !files.has("tokenizer.json")) {
    const json = metadata.get(wholeJson);
    if (typeof json === "string") files.set("tokenizer.json", json);
    else files.set("tokenizer.model", sentencePieceFromGguf(modelKeys(metadata, tokenizer)));
  }
  // A checkpoint in this layout has said all it wants to say.
  if (!files.has("tokenizer_config.json") && !metadata.has("config.json")) {
    files.set("tokenizer_config.json", json(tokenizerConfig(content, tokenizer, files.has("tokenizer.json"))));
  }
  return files;
}

/** Ids as config.json and generation_config.json name them. */
export function tokenIds({ tokenizer, text }: TextContent): Readonly<Record<string, number | readonly number[]>> {
  const ends = text.ends.map(({ id }) => id);
  const eos = ends.length > 1 ? ends : (ends[0] ?? tokenizer?.eos);
  return {
    ...(tokenizer?.bos !== undefined && { bos_token_id: tokenizer.bos }),
    ...(eos !== undefined && { eos_token_id: eos }),
  };
}

export function generationConfig(content: TextContent): Readonly<Record<string, unknown>> {
  const { temperature, topK, topP, minP, repetitionPenalty } = content.text.sampling;
  const sampling = Object.entries({
    temperature,
    top_k: topK,
    top_p: topP,
    min_p: minP,
    repetition_penalty: repetitionPenalty,
  }).filter(([, value]) => value !== undefined);
  return {
    ...tokenIds(content),
    ...(temperature === 0 && { do_sample: false }),
    ...(temperature !== 0 && sampling.length > 0 && { do_sample: true, ...Object.fromEntries(sampling) }),
  };
}

/**
 * Keys of the vocabulary that a tokenizer.model is made of: without tokens behind the pieces, which are added to it.
 */
function modelKeys(metadata: ReadonlyMap<string, unknown>, tokenizer: Tokenizer): ReadonlyMap<string, unknown> {
  const keys = new Map(metadata);
  if (!metadata.has("tokenizer.ggml.tokens")) {
    const { tokens, scores, types } = piecesOfJson(tokenizer, undefined);
    keys.set("tokenizer.ggml.tokens", tokens).set("tokenizer.ggml.scores", scores);
    keys.set("tokenizer.ggml.token_type", types);
  }
  const count = pieceCount(tokenizer);
  for (const key of ["tokens", "scores", "token_type"]) {
    const list = keys.get(`tokenizer.ggml.${key}`);
    if (Array.isArray(list) || ArrayBuffer.isView(list)) {
      keys.set(`tokenizer.ggml.${key}`, Array.from(list as ArrayLike<unknown>).slice(0, count)); // views of numbers
    }
  }
  for (const [key, id, usual] of [
    ["tokenizer.ggml.bos_token_id", tokenizer.bos, "<s>"],
    ["tokenizer.ggml.eos_token_id", tokenizer.eos, "</s>"],
  ] as const) {
    const own = id !== undefined && id < count ? id : tokenizer.id(usual);
    if (own !== undefined) keys.set(key, own);
  }
  return keys;
}

/** How many tokens there are without the control tokens and names at the end. */
function pieceCount(tokenizer: Tokenizer): number {
  let count = tokenizer.vocabSize;
  while (count > 0 && isAdded(tokenizer, count - 1)) count--;
  return count;
}

function isAdded(tokenizer: Tokenizer, id: number): boolean {
  const kind = tokenizer.kind(id);
  return kind === "control" || kind === "user-defined";
}

function tokenizerConfig(
  { text, metadata }: TextContent,
  tokenizer: Tokenizer,
  isJson: boolean,
): Record<string, unknown> {
  const prefix = metadata.get("tokenizer.huggingface.prefix") ?? "every"; // core's tokenizer/cutting.ts
  const ids = Array.from({ length: tokenizer.vocabSize }, (_, id) => id);
  const unknown = ids.find((id) => tokenizer.kind(id) === "unknown") ?? tokenizer.id("<unk>");
  const name = (key: string, id: number | undefined) => (id === undefined ? {} : { [key]: tokenizer.piece(id) });
  const named = ids.filter((id) => isAdded(tokenizer, id) || id === unknown);
  const stored = metadata.get(addedTokensKey);
  const declared = asObject(typeof stored === "string" ? parseJson(stored, addedTokensKey) : undefined) ?? {};
  const added = named.flatMap((id) => {
    const special = tokenizer.kind(id) !== "user-defined";
    const flags = { lstrip: false, normalized: false, rstrip: false, single_word: false };
    if (isJson && declared[id] === undefined) return []; // the tokenizer.json has it
    return [[id, { ...flags, ...asObject(declared[id]), content: tokenizer.piece(id), special }] as const];
  });
  return {
    tokenizer_class: isJson ? "PreTrainedTokenizerFast" : "LlamaTokenizer",
    ...name("bos_token", tokenizer.bos),
    ...name("eos_token", tokenizer.eos),
    ...name("unk_token", unknown),
    add_bos_token: text.addBos,
    add_eos_token: text.addEos,
    ...(!isJson && { legacy: prefix === "every" }),
    ...(added.length > 0 && { added_tokens_decoder: Object.fromEntries(added) }),
    ...(prefix === "none" && { add_prefix_space: false }),
    clean_up_tokenization_spaces: false,
    ...chatTemplate(text),
  };
}

/** Several are a list in which the one without a name is called "default". */
function chatTemplate({ chatTemplate: own, namedTemplates }: TextSetup): object {
  if (namedTemplates.length === 0) return own === undefined ? {} : { chat_template: own.jinja };
  const all = [...(own === undefined ? [] : [{ name: "default", ...own }]), ...namedTemplates];
  return { chat_template: all.map(({ name, jinja }) => ({ name, template: jinja })) };
}

function json(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
