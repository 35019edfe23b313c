// What every tokenizer is to the rest of the project: text to token ids and back, one way for all vocabularies.

/** How text becomes tokens. */
export interface EncodeOptions {
  /** Put the beginning-of-sequence token in front; default: what the tokenizer's file declares, for Llama true. */
  readonly bos?: boolean;
  /** Put the end-of-sequence token behind; default: what the file declares, for Llama false. */
  readonly eos?: boolean;
  /**
   * Read the names of control tokens within the text, such as `</s>`, as those tokens; the text between two of them is
   * encoded as a text of its own. Default false: text that looks like a control token is text.
   */
  readonly special?: boolean;
  /**
   * UTF-16 offsets within the text that no name of a control or added token may span, so that what spells one there
   * stays text, whatever `special` says.
   */
  readonly literal?: readonly number[];
}

/** How tokens become text. */
export interface DecodeOptions {
  /** Show control tokens by name; default false: they decode to nothing. */
  readonly special?: boolean;
  /** The tokens continue earlier text, so that a leading space is kept; default false: they start a text. */
  readonly continuing?: boolean;
}

/**
 * What a token is: a piece of text; the one that stands for what has no piece; a control token, which never shows in
 * text; a name that is found in text before anything else; a piece that is never made; a byte.
 */
export type TokenKind = "normal" | "unknown" | "control" | "user-defined" | "unused" | "byte";

/** Text to tokens and back. */
export interface Tokenizer {
  /** Number of tokens, V. */
  readonly vocabSize: number;
  /** Beginning of sequence. */
  readonly bos: number | undefined;
  /** End of sequence: the model says that its text is complete. */
  readonly eos: number | undefined;
  /** Whether `encode` puts BOS in front when it is not told. */
  readonly addBos: boolean;
  /** Whether `encode` puts EOS behind when it is not told. */
  readonly addEos: boolean;
  /** Chat template that came with the tokenizer or checkpoint, in Jinja; for information. */
  readonly chatTemplate: string | undefined;
  /**
   * Token ids of a text. Lone surrogates become U+FFFD, as in every UTF-8 encoding.
   *
   * @throws {PolyllamaError} `ERR_TOKENIZER` when the text has a part that the vocabulary cannot express, or a BOS or
   * EOS is asked for that does not exist; `ERR_OPTION` for an unknown option.
   */
  encode(text: string, options?: EncodeOptions): number[];
  /**
   * Text of tokens. Bytes that are not UTF-8 become U+FFFD, one for each.
   *
   * @throws {PolyllamaError} `ERR_TOKENIZER` for an id outside [0, V).
   */
  decode(ids: Iterable<number>, options?: DecodeOptions): string;
  /** The token as the vocabulary spells it, such as `▁the` or `<0x0A>`. @throws as `decode` does. */
  piece(id: number): string;
  /** Id of a piece, if there is such a piece. */
  id(piece: string): number | undefined;
  /** @throws as `decode` does. */
  kind(id: number): TokenKind;
  /** Whether a token is control (such as BOS), so that it never shows in text. @throws as `decode` does. */
  isControl(id: number): boolean;
  /** Decodes a stream token by token. The concatenated results equal `decode` of the whole. */
  decoder(options?: DecodeOptions): StreamDecoder;
}

/** Turns tokens into text as they come; a character that is still incomplete waits for its other bytes. */
export interface StreamDecoder {
  /** @throws as `decode` does. */
  push(id: number): string;
  /** The rest; incomplete bytes become U+FFFD. */
  end(): string;
}
