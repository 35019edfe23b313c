// A tokenizer carried from one kind of checkpoint into another. GGUF keeps it in its metadata, Hugging Face in files: a
// `tokenizer.model` becomes GGUF's vocabulary and back again, a `tokenizer.json` goes along whole under the key that GGUF has
// for it, and the chat template stands in either place.

import { readFile } from "node:fs/promises";
import { sentencePieceFromGguf, type Tokenizer } from "@polyllama/core";
import type { Checkpoint } from "../checkpoint.ts";
import { asObject } from "../safetensors.ts";

/** What tokenizers are carried from; every checkpoint is one. */
export type TokenizerContent = Pick<Checkpoint, "tokenizer" | "metadata" | "companions">;

const wholeJson = "tokenizer.huggingface.json";

/**
 * The keys under `tokenizer.` of a GGUF file. Without scores of its own a vocabulary gets some in the order of its ids: right
 * where merges are in that order, as SentencePiece trains them. A tokenizer.json goes along, so that reading it here gives the
 * same tokens in any case.
 */
export async function ggufTokenizer(content: TokenizerContent): Promise<ReadonlyMap<string, unknown>> {
  const { metadata, tokenizer, companions } = content;
  const entries = new Map<string, unknown>();
  if (metadata.has("tokenizer.ggml.tokens")) {
    for (const [key, value] of metadata) if (key.startsWith("tokenizer.")) entries.set(key, value);
  } else if (tokenizer !== undefined) {
    for (const [key, value] of vocabularyOf(tokenizer)) entries.set(key, value);
    const json = companions?.get("tokenizer.json");
    if (json !== undefined) entries.set(wholeJson, await readFile(json, "utf8"));
  } else {
    entries.set("tokenizer.ggml.model", "no_vocab");
  }
  const template = await chatTemplate(content);
  if (template !== undefined) entries.set("tokenizer.chat_template", template);
  return entries;
}

/** Files of the tokenizer in Hugging Face's layout, by name: the checkpoint's own where it has some, else made anew. */
export async function huggingFaceTokenizerFiles(
  content: TokenizerContent,
): Promise<ReadonlyMap<string, string | Uint8Array>> {
  const { metadata, tokenizer, companions = new Map() } = content;
  const files = new Map<string, string | Uint8Array>();
  for (const [name, path] of companions) files.set(name, await readFile(path));
  if (tokenizer === undefined) return files;
  const vocabulary = metadata.has("tokenizer.ggml.tokens") ? metadata : vocabularyOf(tokenizer);
  if (!files.has("tokenizer.model") && !files.has("tokenizer.json")) {
    const json = metadata.get(wholeJson);
    if (typeof json === "string") files.set("tokenizer.json", json);
    else files.set("tokenizer.model", sentencePieceFromGguf(vocabulary));
  }
  // A checkpoint in this layout has said all it wants to say.
  if (!files.has("tokenizer_config.json") && !metadata.has("config.json")) {
    const config = tokenizerConfig(tokenizer, vocabulary, files.has("tokenizer.json"));
    const template = await chatTemplate(content);
    const all = { ...config, ...(template !== undefined && { chat_template: template }) };
    files.set("tokenizer_config.json", `${JSON.stringify(all, undefined, 2)}\n`);
  }
  return files;
}

function tokenizerConfig(
  tokenizer: Tokenizer,
  vocabulary: ReadonlyMap<string, unknown>,
  isJson: boolean,
): Record<string, unknown> {
  const unknown = vocabulary.get("tokenizer.ggml.unknown_token_id") ?? tokenizer.id("<unk>");
  const [addBos, addEos] = ends(tokenizer);
  return {
    tokenizer_class: isJson ? "PreTrainedTokenizerFast" : "LlamaTokenizer",
    ...(tokenizer.bos !== undefined && { bos_token: tokenizer.piece(tokenizer.bos) }),
    ...(tokenizer.eos !== undefined && { eos_token: tokenizer.piece(tokenizer.eos) }),
    ...(typeof unknown === "number" && { unk_token: tokenizer.piece(unknown) }),
    add_bos_token: addBos,
    add_eos_token: addEos,
    clean_up_tokenization_spaces: false,
  };
}

/** Whether a text gets BOS in front and EOS behind. */
function ends(tokenizer: Tokenizer): readonly [boolean, boolean] {
  const ids = tokenizer.encode("");
  return [tokenizer.bos !== undefined && ids[0] === tokenizer.bos, ids.length > 0 && ids.at(-1) === tokenizer.eos];
}

async function chatTemplate({ metadata, tokenizer, companions }: TokenizerContent): Promise<string | undefined> {
  const own = metadata.get("tokenizer.chat_template") ?? tokenizer?.chatTemplate;
  if (typeof own === "string") return own;
  const declared = asObject(metadata.get("tokenizer_config.json"))?.["chat_template"];
  if (typeof declared === "string") return declared;
  if (Array.isArray(declared)) {
    const named = declared.map(asObject).find((entry) => entry?.["name"] === "default")?.["template"];
    if (typeof named === "string") return named;
  }
  const file = companions?.get("chat_template.jinja");
  return file === undefined ? undefined : readFile(file, "utf8");
}

function vocabularyOf(tokenizer: Tokenizer): ReadonlyMap<string, unknown> {
  const ids = Array.from({ length: tokenizer.vocabSize }, (_, id) => id);
  const tokens = ids.map((id) => tokenizer.piece(id));
  const [addBos, addEos] = ends(tokenizer);
  const entries = new Map<string, unknown>([
    ["tokenizer.ggml.model", "llama"],
    ["tokenizer.ggml.tokens", tokens],
    ["tokenizer.ggml.scores", ids.map((id) => -id)],
    ["tokenizer.ggml.token_type", ids.map((id) => tokenType(tokenizer, id, tokens[id]!))], // a token for each id
    ["tokenizer.ggml.add_bos_token", addBos],
    ["tokenizer.ggml.add_eos_token", addEos],
  ]);
  if (tokenizer.bos !== undefined) entries.set("tokenizer.ggml.bos_token_id", tokenizer.bos);
  if (tokenizer.eos !== undefined) entries.set("tokenizer.ggml.eos_token_id", tokenizer.eos);
  return entries;
}

/** GGUF's kinds of tokens: 1 normal, 2 unknown, 3 control, 6 byte. */
function tokenType(tokenizer: Tokenizer, id: number, piece: string): number {
  if (/^<0x[0-9A-F]{2}>$/.test(piece)) return 6;
  if (piece === "<unk>") return 2;
  return tokenizer.isControl(id) ? 3 : 1;
}
