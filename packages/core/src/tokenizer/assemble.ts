// The part of a tokenizer that does not depend on its algorithm: BOS and EOS, checks of ids and options, and `decode`
// as the stream decoder run to its end, unless the algorithm has a quicker way to the same text.

import { PolyllamaError } from "../errors.ts";
import { type OptionSchema, option } from "../option-types.ts";
import { checkOptions } from "../options.ts";
import { plainText } from "../printable.ts";
import { checkPlaces, type Places } from "./literal.ts";
import type { DecodeOptions, EncodeOptions, StreamDecoder, Tokenizer, TokenKind } from "./tokenizer.ts";
import { wellFormed } from "./utf8.ts";

const encodeOptionTypes: OptionSchema<EncodeOptions> = {
  bos: option.boolean,
  eos: option.boolean,
  special: option.boolean,
  literal: option.list(option.integer({ least: 0 }), "a list of places in the text"),
};

const decodeOptionTypes: OptionSchema<DecodeOptions> = { special: option.boolean, continuing: option.boolean };

export interface TokenizerParts {
  /** Name used in errors, usually the file's path. */
  readonly source: string;
  readonly pieces: readonly string[];
  readonly bos: number | undefined;
  readonly eos: number | undefined;
  readonly addBos: boolean;
  readonly addEos: boolean;
  readonly chatTemplate: string | undefined;
  kind(id: number): TokenKind;
  /** Ids of a well-formed text, without BOS and EOS; no name of a token spans one of the places. */
  segment(text: string, special: boolean, places: Places): number[];
  /** A decoder for valid ids; see {@link DecodeOptions}. */
  decoder(special: boolean, continuing: boolean): StreamDecoder;
  /** What the decoder makes of all of these valid ids. */
  decodeAll?(ids: readonly number[], special: boolean, continuing: boolean): string;
}

/** Takes a remark about something that was accepted or passed over: a clause without its full stop. */
export type Notice = (remark: string) => void;

/** Refuses a tokenizer file. */
export function refuse(source: string, problem: string): never {
  throw new PolyllamaError("ERR_TOKENIZER", `${source}: ${problem}.`);
}

/** A value as errors show it: short, whatever a file puts there. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}...` : value);
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return value === undefined ? "missing" : plainText(value);
}

export function assemble(parts: TokenizerParts): Tokenizer {
  const { source, pieces, bos, eos, addBos, addEos, chatTemplate, decodeAll } = parts;
  const ids = new Map<string, number>();
  for (const [id, piece] of pieces.entries()) if (!ids.has(piece)) ids.set(piece, id);

  const check = (id: number): number => {
    if (Number.isInteger(id) && id >= 0 && id < pieces.length) return id;
    return refuse(source, `there is no token ${id}; ids go from 0 to ${pieces.length - 1}`);
  };
  const need = (id: number | undefined, name: string): number =>
    id ?? refuse(source, `the vocabulary has no ${name} token; encode with ${name.toLowerCase()}: false`);

  const stream = (options: DecodeOptions = {}): StreamDecoder => {
    checkOptions(options, decodeOptionTypes, "decode()");
    return parts.decoder(options.special ?? false, options.continuing ?? false);
  };

  return {
    vocabSize: pieces.length,
    bos,
    eos,
    addBos,
    addEos,
    chatTemplate,
    encode(text, options = {}) {
      checkOptions(options, encodeOptionTypes, "encode()");
      const places = checkPlaces(options.literal, text);
      const result = parts.segment(wellFormed(text), options.special ?? false, places);
      if (options.bos ?? addBos) result.unshift(need(bos, "BOS"));
      if (options.eos ?? addEos) result.push(need(eos, "EOS"));
      return result;
    },
    decode(tokens, options) {
      if (decodeAll !== undefined) {
        checkOptions(options === undefined ? {} : options, decodeOptionTypes, "decode()");
        const ids = Array.isArray(tokens) ? tokens : [...tokens];
        for (let i = 0; i < ids.length; i++) check(ids[i]);
        return decodeAll(ids, options?.special ?? false, options?.continuing ?? false);
      }
      const { push, end } = stream(options);
      const texts: string[] = []; // joined at once: adding to a string makes a tree of small ones
      for (const id of tokens) {
        const text = push(check(id));
        if (text !== "") texts.push(text);
      }
      texts.push(end());
      return texts.join("");
    },
    piece: (id) => pieces[check(id)]!,
    id: (piece) => ids.get(piece),
    kind: (id) => parts.kind(check(id)),
    isControl: (id) => parts.kind(check(id)) === "control",
    decoder(options) {
      const { push, end } = stream(options);
      return { push: (id) => push(check(id)), end };
    },
  };
}
