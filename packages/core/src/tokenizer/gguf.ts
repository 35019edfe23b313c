// The tokenizer within GGUF metadata, the keys `tokenizer.ggml.*`: SentencePiece's vocabulary under the name "llama".
// Kinds of tokens are numbered as SentencePiece does. What a file leaves out has llama.cpp's defaults, and user-defined
// tokens are cut out as llama.cpp does it. A tokenizer.json that goes along whole comes first: the scores beside it are
// made up for those who do not read it.
// Source: github.com/ggml-org/ggml, docs/gguf.md; llama.cpp, src/llama-vocab.cpp.

import { parseJson } from "../json-text.ts";
import { type Notice, refuse, shown } from "./assemble.ts";
import { readCharsmap } from "./charsmap.ts";
import { type Cutting, plainToken } from "./cutting.ts";
import { addedTokensOf, withFlags } from "./gguf-added.ts";
import { ggufFields } from "./gguf-fields.ts";
import { readGgufPieces } from "./gguf-pieces.ts";
import { tokenizerFromVocabulary } from "./score-bpe.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { tokenizerFromJson } from "./tokenizer-json.ts";
import { pieceKind } from "./vocabulary.ts";

/**
 * Tokenizer from the metadata of a GGUF file.
 *
 * @param metadata Keys and values; arrays as arrays or typed arrays.
 * @param source Name used in errors, usually the file's path.
 * @param notice Takes remarks about what is odd and was accepted.
 * @throws {PolyllamaError} `ERR_TOKENIZER` when keys are missing or contradict each other, or declare another
 * tokenizer.
 */
export function tokenizerFromGguf(
  metadata: ReadonlyMap<string, unknown>,
  source: string,
  notice: Notice = () => {},
): Tokenizer {
  const model = metadata.get("tokenizer.ggml.model");
  if (model !== "llama") {
    refuse(source, `tokenizer.ggml.model is ${shown(model)}, but only "llama" (SentencePiece BPE) is supported`);
  }
  const fields = ggufFields(metadata, source, notice);
  const stored = fields.strings("tokens");
  const bos = fields.token("bos_token_id", 1, stored.length);
  const eos = fields.token("eos_token_id", 2, stored.length);
  const addBos = fields.flag("add_bos_token", true) && bos !== undefined;
  if (bos === undefined && metadata.get("tokenizer.ggml.add_bos_token") === true) {
    notice("tokenizer.ggml.add_bos_token is true, but there is no BOS token; none is put");
  }
  const addEos = fields.flag("add_eos_token", false);
  const declared = addedTokensOf(metadata, source);
  const json = metadata.get("tokenizer.huggingface.json");
  if (json !== undefined) return fromJson(json);
  const unknown = fields.token("unknown_token_id", 0, stored.length);
  const { pieces, scores, kinds, unreachable } = readGgufPieces(fields, unknown);
  for (const id of [bos, eos]) if (id !== undefined) kinds[id] = pieceKind.control;
  const byName = pieces.flatMap((piece, id) => {
    const type = kinds[id];
    if (
      unreachable.has(id) ||
      (type !== pieceKind.control && type !== pieceKind.unknown && type !== pieceKind.userDefined)
    )
      return [];
    return [withFlags(plainToken(id, piece, type !== pieceKind.userDefined), declared)];
  });

  return tokenizerFromVocabulary({
    source,
    pieces,
    scores,
    kinds,
    unreachable: new Set([...unreachable, ...byName.map(({ id }) => id)]),
    cutting: { tokens: byName, ...prefixed() },
    bos,
    eos,
    addBos,
    addEos,
    unknownText: " \u2047 ",
    byteFallback: kinds.includes(pieceKind.byte) && "partial",
    normalizer: {
      addDummyPrefix: fields.flag("add_space_prefix", true),
      removeExtraWhitespaces: fields.flag("remove_extra_whitespaces", false),
      escapeWhitespaces: true,
      charsmap: charsmap(),
    },
    chatTemplate: template(),
  });

  /**
   * As llama.cpp does it; a vocabulary that came from Hugging Face's layout may say that it was cut otherwise there.
   */
  function prefixed(): Pick<Cutting, "order" | "prefix"> {
    const prefix = metadata.get("tokenizer.huggingface.prefix");
    if (prefix === "every" || prefix === "first" || prefix === "none") return { order: "leftmost", prefix };
    return { order: "longest", prefix: "every" };
  }
  function fromJson(text: unknown): Tokenizer {
    const parsed = parseJson(String(text), `${source}: tokenizer.huggingface.json`);
    const chatTemplate = template();
    return tokenizerFromJson(parsed, source, {
      ...(bos !== undefined && { bos_token: stored[bos] }),
      ...(eos !== undefined && { eos_token: stored[eos] }),
      add_bos_token: addBos,
      add_eos_token: addEos,
      ...(chatTemplate !== undefined && { chat_template: chatTemplate }),
      ...(declared !== undefined && {
        added_tokens_decoder: Object.fromEntries(declared.keys().map((id) => [id, declared.get(id)])),
      }),
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
  function template(): string | undefined {
    const value = metadata.get("tokenizer.chat_template");
    return value === undefined || typeof value === "string"
      ? value
      : refuse(source, "tokenizer.chat_template is not text");
  }
}
