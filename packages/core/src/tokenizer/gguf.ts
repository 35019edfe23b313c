// The tokenizer within GGUF metadata, the keys `tokenizer.ggml.*`: SentencePiece's vocabulary under the name "llama".
// Kinds of tokens are numbered as SentencePiece does. What a file leaves out has llama.cpp's defaults. A tokenizer.json that
// goes along whole comes first: the scores beside it are made up for those who do not read it.
// Source: github.com/ggml-org/ggml, docs/gguf.md; llama.cpp, src/llama-vocab.cpp.

import { parseJson } from "../json-text.ts";
import { refuse, shown } from "./assemble.ts";
import { readCharsmap } from "./charsmap.ts";
import { scoreTokenizer } from "./score-bpe.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { tokenizerFromJson } from "./tokenizer-json.ts";
import { byteOfPiece, kind } from "./vocabulary.ts";

/**
 * Tokenizer from the metadata of a GGUF file.
 *
 * @param metadata Keys and values; arrays as arrays or typed arrays.
 * @param source Name used in errors, usually the file's path.
 * @throws {PolyllamaError} `ERR_TOKENIZER` when keys are missing or contradict each other, or declare another tokenizer.
 */
export function tokenizerFromGguf(metadata: ReadonlyMap<string, unknown>, source: string): Tokenizer {
  const model = metadata.get("tokenizer.ggml.model");
  if (model !== "llama") {
    refuse(source, `tokenizer.ggml.model is ${shown(model)}, but only "llama" (SentencePiece BPE) is supported`);
  }
  const pieces = strings("tokens");
  const json = metadata.get("tokenizer.huggingface.json");
  if (json !== undefined) return fromJson(json);
  const scores = numbers("scores") ?? refuse(source, "tokenizer.ggml.scores is missing");
  const types = numbers("token_type");
  const bos = token("bos_token_id", 1);
  const eos = token("eos_token_id", 2);
  const unknown = token("unknown_token_id", 0);
  const kinds = pieces.map((piece, id): number => types?.[id] ?? (byteOfPiece(piece) < 0 ? kind.normal : kind.byte));
  if (types === undefined && unknown !== undefined) kinds[unknown] = kind.unknown;
  for (const id of [bos, eos]) if (id !== undefined) kinds[id] = kind.control;

  return scoreTokenizer({
    source,
    pieces,
    scores: Float32Array.from(scores),
    kinds,
    bos,
    eos,
    addBos: flag("add_bos_token", true),
    addEos: flag("add_eos_token", false),
    unknownText: " \u2047 ",
    byteFallback: kinds.includes(kind.byte),
    normalizer: {
      addDummyPrefix: flag("add_space_prefix", true),
      removeExtraWhitespaces: flag("remove_extra_whitespaces", false),
      escapeWhitespaces: true,
      charsmap: charsmap(),
    },
    chatTemplate: template(),
  });

  function fromJson(text: unknown): Tokenizer {
    const parsed = parseJson(String(text), `${source}: tokenizer.huggingface.json`);
    const [bos, eos] = [token("bos_token_id", 1), token("eos_token_id", 2)];
    const chatTemplate = template();
    return tokenizerFromJson(parsed, source, {
      ...(bos !== undefined && { bos_token: pieces[bos] }),
      ...(eos !== undefined && { eos_token: pieces[eos] }),
      add_bos_token: flag("add_bos_token", true),
      add_eos_token: flag("add_eos_token", false),
      ...(chatTemplate !== undefined && { chat_template: chatTemplate }),
    });
  }
  function charsmap() {
    const bytes = metadata.get("tokenizer.ggml.precompiled_charsmap");
    if (bytes === undefined) return undefined;
    if (!Array.isArray(bytes) || !bytes.every((byte) => Number.isInteger(byte) && byte >= -128 && byte < 256)) {
      return refuse(source, "tokenizer.ggml.precompiled_charsmap is not an array of bytes");
    }
    return bytes.length === 0 ? undefined : readCharsmap(Uint8Array.from(bytes), source);
  }
  function strings(key: string): readonly string[] {
    const value = metadata.get(`tokenizer.ggml.${key}`);
    if (value === undefined) refuse(source, `tokenizer.ggml.${key} is missing`);
    if (Array.isArray(value) && value.every((element) => typeof element === "string")) return value;
    return refuse(source, `tokenizer.ggml.${key} is not an array of strings`);
  }
  function numbers(key: string): ArrayLike<number> | undefined {
    const value = metadata.get(`tokenizer.ggml.${key}`);
    if (value === undefined) return undefined;
    const list =
      Array.isArray(value) || ArrayBuffer.isView(value) ? Array.from(value as ArrayLike<unknown>) : undefined; // either has a length
    if (list === undefined || !list.every((element) => typeof element === "number")) {
      return refuse(source, `tokenizer.ggml.${key} is not an array of numbers`);
    }
    if (list.length !== pieces.length) {
      refuse(source, `tokenizer.ggml.${key} has ${list.length} entries for ${pieces.length} tokens`);
    }
    return list;
  }
  /** An id; all bits set say that there is none. */
  function token(key: string, fallback: number): number | undefined {
    const value = metadata.get(`tokenizer.ggml.${key}`) ?? fallback;
    if (value === 0xffffffff || value === -1) return undefined;
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value < pieces.length) return value;
    return refuse(source, `tokenizer.ggml.${key} is ${shown(value)}, but there are ${pieces.length} tokens`);
  }
  function flag(key: string, fallback: boolean): boolean {
    const value = metadata.get(`tokenizer.ggml.${key}`) ?? fallback;
    return typeof value === "boolean"
      ? value
      : refuse(source, `tokenizer.ggml.${key} is ${shown(value)}, not a boolean`);
  }
  function template(): string | undefined {
    const value = metadata.get("tokenizer.chat_template");
    return value === undefined || typeof value === "string"
      ? value
      : refuse(source, "tokenizer.chat_template is not text");
  }
}
