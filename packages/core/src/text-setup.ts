// What a checkpoint says about text, beside its vocabulary: whether a text begins with BOS, which tokens end it, how a
// conversation is written, what sampling its makers recommend. It stands in many places (a tokenizer's file, the small JSON
// files around it, GGUF's metadata); here it is one record, and each statement knows where it was found.

import type { Tokenizer } from "./tokenizer/tokenizer.ts";

/** A token at which generation ends. */
export interface EndToken {
  readonly id: number;
  /** Who says so: files and fields, such as `generation_config.json: eos_token_id`. */
  readonly from: readonly string[];
}

/** A conversation's format in Jinja, as the checkpoint's makers wrote it. */
export interface OwnChatTemplate {
  readonly jinja: string;
  /** Where it stands, such as `tokenizer_config.json: chat_template`. */
  readonly from: string;
}

/** Sampling that the makers of a checkpoint recommend: shown and offered, never applied unasked. */
export interface OfferedSampling {
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
}

export interface TextSetup {
  /** Put BOS in front of a text. */
  readonly addBos: boolean;
  /** Put EOS behind a text. */
  readonly addEos: boolean;
  /** Tokens at which generation ends, in ascending order; the tokenizer's EOS is among them. */
  readonly ends: readonly EndToken[];
  /** The checkpoint's own chat template, if it came with one. */
  readonly chatTemplate: OwnChatTemplate | undefined;
  readonly sampling: OfferedSampling;
}

/** What a tokenizer alone says. */
export function textSetupOf(tokenizer: Tokenizer | undefined): TextSetup {
  const { eos, chatTemplate } = tokenizer ?? {};
  return {
    addBos: tokenizer?.addBos ?? false,
    addEos: tokenizer?.addEos ?? false,
    ends: eos === undefined ? [] : [{ id: eos, from: ["tokenizer: EOS"] }],
    chatTemplate: chatTemplate === undefined ? undefined : { jinja: chatTemplate, from: "tokenizer: chat template" },
    sampling: {},
  };
}
