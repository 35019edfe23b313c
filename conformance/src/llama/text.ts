// What tokens show and where a text ends, by definition: of the whole text so far, each time anew.

import type { VocabularyEntry } from "./vocabulary.ts";

/** The character that bytes are in UTF-8. */
function characterOf(bytes: readonly number[]): string | undefined {
  const [lead, ...rest] = bytes as [number, ...number[]]; // one or more
  const bits = rest.length === 0 ? lead : lead & (0x3f >> rest.length);
  const code = rest.reduce((sum, byte) => sum * 64 + (byte & 0x3f), bits);
  if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return undefined;
  const character = String.fromCodePoint(code);
  return String(encoder.encode(character)) === String(bytes) ? character : undefined;
}

const encoder = new TextEncoder();

/** Whether bytes begin a character and are none yet. */
function mayBecomeCharacter(bytes: readonly number[]): boolean {
  if (bytes.length === 0 || bytes.length > 3) return false;
  // The ends of all ranges that a further byte may have.
  return [0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf].some((next) => {
    const longer = [...bytes, next];
    return characterOf(longer) !== undefined || mayBecomeCharacter(longer);
  });
}

/** Bytes as text, where a byte that belongs to no character is U+FFFD; `open` leaves out what may still become one. */
function decodeBytes(bytes: readonly number[], open: boolean): string {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    if (open && mayBecomeCharacter(bytes.slice(at))) return text;
    const length = [1, 2, 3, 4].find(
      (length) => at + length <= bytes.length && characterOf(bytes.slice(at, at + length)),
    );
    text += length === undefined ? "\ufffd" : characterOf(bytes.slice(at, at + length));
    at += length ?? 1;
  }
  return text;
}

/**
 * The text of tokens that follow a prompt. Control tokens show nothing; behind a prompt of control tokens alone the
 * first piece loses the space that encoding put before it.
 *
 * @param open Leave out a last character of which bytes are still missing.
 */
export function textOf(
  vocabulary: readonly VocabularyEntry[],
  prompt: readonly number[],
  ids: readonly number[],
  open: boolean,
): string {
  let starts = prompt.every((id) => vocabulary[id]!.kind === "control");
  let text = "";
  let bytes: number[] = [];
  const close = (open: boolean): void => {
    text += decodeBytes(bytes, open);
    bytes = [];
  };
  for (const id of ids) {
    const { piece, kind } = vocabulary[id]!; // ids are of this vocabulary
    if (kind === "byte") bytes.push(Number.parseInt(piece.slice(3, 5), 16));
    else close(false);
    if (kind === "unknown") text += " \u2047 ";
    if (kind === "normal" || kind === "user-defined") {
      const shown = piece.replaceAll("▁", " ");
      text += starts && shown.startsWith(" ") ? shown.slice(1) : shown;
    }
    if (kind !== "control") starts = false;
  }
  close(open);
  return text;
}

/** Where the first of the texts begins; undefined where there is none. */
export function firstOf(text: string, stops: readonly string[]): number | undefined {
  for (let at = 0; at < text.length; at++) if (stops.some((stop) => text.startsWith(stop, at))) return at;
  return undefined;
}

/** Where the part of a text begins that may still become a stop sequence; its length where there is none. */
export function openFrom(text: string, stops: readonly string[]): number {
  for (let at = 0; at < text.length; at++) {
    const rest = text.slice(at);
    if (stops.some((stop) => stop !== rest && stop.startsWith(rest))) return at;
  }
  return text.length;
}
