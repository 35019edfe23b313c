// JSON from files that anyone may have written. A few bytes of text can make an object, deep nesting ends in programs
// that follow it by recursion, and JSON.parse keeps the last of equal keys without a word: so the text is scanned once
// before it is parsed. The scan skips strings, which may hold brackets of their own (a chat template does), and takes
// linear time.

import { CheckpointError } from "./errors.ts";

/** A tokenizer.json of 256,000 tokens and their merges has about a million. */
const mostJsonValues = 2 ** 22;
/** As deep as serde_json follows, by which safetensors and tokenizers are read elsewhere. */
const mostDepth = 128;

const code = { quote: 0x22, comma: 0x2c, colon: 0x3a, backslash: 0x5c } as const;

/**
 * Parses JSON.
 *
 * @param file Name used in errors.
 * @param mostValues Values that it may have, counted as commas and brackets.
 * @throws {CheckpointError} for text that is not JSON, or has more values or deeper nesting than any file of a model.
 */
export function parseJson(text: string, file: string, mostValues: number = mostJsonValues): unknown {
  let values = 0;
  let depth = 0;
  for (let at = 0; at >= 0 && at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === code.quote) {
      at = closingQuote(text, at);
      if (at < 0) break; // JSON.parse says where
    } else if (unit === code.comma) values++;
    else if (opens(unit)) {
      values++;
      if (++depth > mostDepth) {
        throw new CheckpointError({ file }, `this JSON is nested more than ${mostDepth} deep`, "Check the file.");
      }
    } else if (closes(unit)) depth--;
  }
  if (values > mostValues) {
    throw new CheckpointError({ file }, `more than ${mostValues} values stand in this JSON`, "Check the file.");
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CheckpointError({ file }, "this is not JSON", "The file is damaged; download it again.", { cause });
  }
}

/** The first key that stands twice in the outermost object of valid JSON text, however it is spelled. */
export function duplicatedKey(text: string): string | undefined {
  const keys = new Set<string>();
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (opens(unit)) depth++;
    else if (closes(unit)) depth--;
    if (unit !== code.quote) continue;
    const start = at;
    at = closingQuote(text, start);
    if (depth !== 1) continue;
    let next = at + 1;
    while (isSpace(text.charCodeAt(next))) next++;
    if (text.charCodeAt(next) !== code.colon) continue;
    const key: string = JSON.parse(text.slice(start, at + 1));
    if (keys.has(key)) return key;
    keys.add(key);
    at = next;
  }
  return undefined;
}

/** Where the string that begins at a quote ends, or -1. */
function closingQuote(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let before = end;
    while (text.charCodeAt(before - 1) === code.backslash) before--;
    if ((end - before) % 2 === 0) return end;
  }
  return -1;
}

function opens(unit: number): boolean {
  return unit === 0x7b || unit === 0x5b; // { [
}

function closes(unit: number): boolean {
  return unit === 0x7d || unit === 0x5d; // } ]
}

function isSpace(unit: number): boolean {
  return unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09;
}
