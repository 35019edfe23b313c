// The small files beside weights in Hugging Face's layout that say how text is to be read and written, wherever they
// lie: on a disk, behind URLs, among files that a user chose. Each is optional.

import {
  type HuggingFaceText,
  parseJson,
  readSentencePiece,
  surroundVocabulary,
  type Tokenizer,
  type TokenizerSurroundings,
  tokenizerFromJson,
  tokenizerFromVocabulary,
  type Vocabulary,
} from "@polyllama/core";
import { type Files, readJson, readWhole } from "./files.ts";
import { readTemplate, readTemplates } from "./template-files.ts";

/** A tokenizer from a file beside the weights. */
export interface FoundTokenizer {
  readonly tokenizer: Tokenizer;
  /** Its vocabulary under the keys of GGUF, where its file has scores; becomes part of the checkpoint's metadata. */
  readonly vocabulary?: ReadonlyMap<string, unknown>;
  /** What such a file is called in Hugging Face's layout, if it has a place there. */
  readonly file?: "tokenizer.model" | "tokenizer.json";
  /** Where that file lies on a disk. */
  readonly path?: string;
  /** What was odd and accepted. */
  readonly notices?: readonly string[];
}

/** Names of JSON files, by what they are called here. */
const jsonFiles = {
  tokenizerConfig: "tokenizer_config.json",
  addedTokens: "added_tokens.json",
  specialTokensMap: "special_tokens_map.json",
  generationConfig: "generation_config.json",
} as const;

/** Files that stand around a tokenizer; what fetches a checkpoint fetches them too. */
export const textFileNames: readonly string[] = [
  ...Object.values(jsonFiles),
  "chat_template.jinja",
  "chat_template.json",
];

/** What the files say; the JSON ones as parsed. */
export interface TextFiles extends TokenizerSurroundings, Omit<HuggingFaceText, "config"> {}

/** @throws {CheckpointError} for a file that is not JSON, or holds a template of too many bytes. */
export async function readTextFiles(files: Files, signal?: AbortSignal): Promise<TextFiles> {
  const found: Record<string, unknown> = {};
  for (const [key, name] of Object.entries(jsonFiles)) {
    const json = await readJson(files, name, signal);
    if (json !== undefined) found[key] = json;
  }
  const named = await readTemplates(files, signal);
  if (named.length > 0) found["namedTemplates"] = named;
  const chatTemplate =
    (await readTemplate(files, "chat_template.jinja", signal)) ?? named.find(({ name }) => name === "default");
  if (chatTemplate !== undefined) return { ...found, chatTemplate };
  const hasOwn = asTemplate((found["tokenizerConfig"] as { chat_template?: unknown } | undefined)?.chat_template);
  const json = hasOwn ? undefined : await readJson(files, "chat_template.json", signal);
  const template = (json as { chat_template?: unknown } | null | undefined)?.chat_template;
  if (typeof template !== "string") return found;
  return { ...found, chatTemplate: { jinja: template, from: "chat_template.json: chat_template" } };
}

function asTemplate(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/**
 * The tokenizer of a folder for a table of that many rows: `tokenizer.model` with what stands around it, else
 * `tokenizer.json`; of both, the second where only that has as many tokens as the table has rows.
 *
 * @throws {CheckpointError}; `PolyllamaError` `ERR_TOKENIZER`
 */
export async function huggingFaceTokenizer(
  files: Files,
  rows: number,
  text: TextFiles,
  signal?: AbortSignal,
): Promise<FoundTokenizer | undefined> {
  const model = await readWhole(files, "tokenizer.model", signal);
  let refusal: unknown;
  const found =
    model &&
    attempt(
      () => sentencePieceTokenizer(model, files.pathOf("tokenizer.model"), text, rows),
      (error) => (refusal = error),
    );
  if (found?.tokenizer.vocabSize === rows) return found;
  const bytes = await readWhole(files, "tokenizer.json", signal);
  if (bytes !== undefined) {
    const notices: string[] = [];
    const path = files.pathOf("tokenizer.json");
    const beside = { ...text, rows, notice: (remark: string) => notices.push(`${remark}.`) };
    const other = tokenizerFromJson(parse(bytes, path), path, text.tokenizerConfig, beside);
    if (found === undefined || other.vocabSize === rows) return { tokenizer: other, notices };
  }
  if (found === undefined && refusal !== undefined) throw refusal;
  return found;
}

function attempt<T>(make: () => T, failed: (error: unknown) => void): T | undefined {
  try {
    return make();
  } catch (error) {
    failed(error);
    return undefined;
  }
}

/** A `tokenizer.model`, with the files around it, if any. */
export function sentencePieceTokenizer(
  bytes: Uint8Array,
  path: string,
  text: TokenizerSurroundings = {},
  rows?: number,
): FoundTokenizer {
  const notices: string[] = [];
  const options = { ...(rows !== undefined && { rows }), notice: (remark: string) => notices.push(`${remark}.`) };
  const vocabulary = surroundVocabulary(readSentencePiece(bytes, path), text, options);
  return {
    tokenizer: tokenizerFromVocabulary(vocabulary),
    vocabulary: ggufVocabulary(vocabulary),
    file: "tokenizer.model",
    notices,
  };
}

/** The key for added tokens of which GGUF's own keys do not say all; read here alone. */
export const addedTokensKey = "tokenizer.huggingface.added_tokens";

type AddedTokens = NonNullable<Vocabulary["cutting"]>["tokens"];

function addedTokensJson(tokens: AddedTokens): string {
  const entries = tokens.map(({ id, singleWord, ...flags }) => [id, { ...flags, single_word: singleWord }] as const);
  return JSON.stringify(Object.fromEntries(entries));
}

/** The keys of GGUF that say the same. */
export function ggufVocabulary({
  pieces,
  scores,
  kinds,
  bos,
  eos,
  addBos,
  addEos,
  cutting,
  normalizer,
}: Vocabulary): Map<string, unknown> {
  const entries = new Map<string, unknown>([
    ["tokenizer.ggml.model", "llama"],
    ["tokenizer.ggml.tokens", pieces],
    ["tokenizer.ggml.scores", Array.from(scores)],
    ["tokenizer.ggml.token_type", kinds],
    ["tokenizer.ggml.add_bos_token", addBos],
    ["tokenizer.ggml.add_eos_token", addEos],
    ["tokenizer.ggml.add_space_prefix", normalizer.addDummyPrefix],
    ["tokenizer.ggml.remove_extra_whitespaces", normalizer.removeExtraWhitespaces],
  ]);
  if (normalizer.charsmap !== undefined) {
    entries.set("tokenizer.ggml.precompiled_charsmap", Array.from(normalizer.charsmap.bytes));
  }
  if (bos !== undefined) entries.set("tokenizer.ggml.bos_token_id", bos);
  if (eos !== undefined) entries.set("tokenizer.ggml.eos_token_id", eos);
  const flagged = cutting?.tokens.filter(({ lstrip, rstrip, singleWord }) => lstrip || rstrip || singleWord) ?? [];
  if (flagged.length > 0) entries.set(addedTokensKey, addedTokensJson(flagged));
  if (cutting !== undefined && (cutting.prefix !== "every" || flagged.length > 0))
    entries.set("tokenizer.huggingface.prefix", cutting.prefix);
  const unknown = kinds.indexOf(2);
  if (unknown >= 0) entries.set("tokenizer.ggml.unknown_token_id", unknown);
  return entries;
}

function parse(bytes: Uint8Array, file: string): unknown {
  return parseJson(new TextDecoder().decode(bytes), file);
}
