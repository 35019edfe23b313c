// A SentencePiece vocabulary with what stands around it in Hugging Face's layout, as transformers' LlamaTokenizer reads
// both: tokens behind the pieces, which are cut out of a text before SentencePiece sees it; BOS and EOS by name; and by
// the flag `legacy` whether every stretch between cut-out tokens begins with a space, or only the first. Source:
// transformers 4.57, models/llama/tokenization_llama.py, tokenization_utils.py (tokenize).

import type { Notice } from "./assemble.ts";
import { plainToken } from "./cutting.ts";
import type { AddedToken } from "./json/added-tokens.ts";
import { chatTemplateOf } from "./json/chat-template.ts";
import { ownInstead } from "./nameless.ts";
import { readSurroundings, type TokenizerSurroundings, tokensBehind } from "./surroundings.ts";
import { pieceKind, type Vocabulary } from "./vocabulary.ts";

/** What is known beside the files that stand around a tokenizer. */
export interface SurroundOptions {
  /** Rows of the embedding table; default: not known. */
  readonly rows?: number;
  /** Takes remarks about what is odd and was accepted. */
  readonly notice?: Notice;
}

/** What llama.cpp's converter gives tokens that no merge makes. */
const addedScore = -1000;

/**
 * The vocabulary with the files around it. Without any it stays as it is.
 *
 * @throws {PolyllamaError} `ERR_TOKENIZER` where they contradict each other.
 */
export function surroundVocabulary(
  vocabulary: Vocabulary,
  files: TokenizerSurroundings,
  { rows, notice = () => {} }: SurroundOptions = {},
): Vocabulary {
  const { source } = vocabulary;
  const { tokenizerConfig, addedTokens, specialTokensMap } = files;
  if (tokenizerConfig === undefined && addedTokens === undefined && specialTokensMap === undefined) return vocabulary;
  const around = readSurroundings(files, source);
  const behind = tokensBehind(vocabulary.pieces, around, source, rows, notice);
  const pieces = [...vocabulary.pieces, ...behind.map(({ content }) => content)];
  const kinds = [
    ...vocabulary.kinds,
    ...behind.map(({ special }) => (special ? pieceKind.control : pieceKind.userDefined)),
  ];

  const byName = new Map<number, AddedToken>();
  for (const [id, piece] of pieces.entries()) {
    if (kinds[id] === pieceKind.control || around.specials.has(piece)) byName.set(id, plainToken(id, piece, true));
  }
  for (const token of [...around.added, ...behind]) byName.set(token.id, { ...token, normalized: false });
  for (const { id, special } of byName.values()) {
    if (special && (kinds[id] === pieceKind.normal || kinds[id] === pieceKind.userDefined))
      kinds[id] = pieceKind.control;
  }

  const { config } = around;
  const named = (attribute: "bos_token" | "eos_token", own: number | undefined): number | undefined => {
    const name = around.special(attribute);
    if (name === null) return undefined;
    if (name === undefined) return own;
    const id = pieces.indexOf(name);
    return id >= 0 ? id : ownInstead(attribute, own, pieces, notice);
  };
  const bos = named("bos_token", vocabulary.bos);
  const eos = named("eos_token", vocabulary.eos);
  const legacy = config?.boolean("legacy", true) ?? true;
  const spaced = config?.boolean("add_prefix_space", true) ?? true;
  return {
    ...vocabulary,
    pieces,
    kinds,
    scores: Float32Array.from(pieces, (_, id) => vocabulary.scores[id] ?? addedScore),
    unreachable: new Set([...(vocabulary.unreachable ?? []), ...behind.map(({ id }) => id)]),
    cutting: {
      tokens: [...byName.values()],
      order: "leftmost",
      prefix: legacy ? "every" : spaced ? "first" : "none",
    },
    bos,
    eos,
    addBos: bos !== undefined && (config?.boolean("add_bos_token", true) ?? vocabulary.addBos),
    addEos: eos !== undefined && (config?.boolean("add_eos_token", false) ?? vocabulary.addEos),
    chatTemplate: chatTemplateOf(config),
  };
}
