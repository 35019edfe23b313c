// Text from files and from standard input: UTF-8 and nothing else, the same whatever way it comes. Bytes that are no
// UTF-8 are refused and not replaced, since a model would read something else than what was written.

import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { UsageError } from "./exit.ts";
import { unlessAborted } from "./interrupts.ts";
import { createHint, type Telling } from "./progress.ts";

const mark = "\ufeff";

/**
 * The text of bytes in UTF-8. A byte order mark in front, which some editors write, is no part of it.
 *
 * @param source What the bytes are, for the message.
 * @throws {UsageError} for other encodings, with the place of the first byte that is none.
 */
export function decodeText(bytes: Uint8Array, source: string): string {
  const [first, second] = bytes;
  const isMarked = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
  if (isMarked || looksLikeUtf16(bytes)) throw refuse(source, "it is UTF-16");
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw notUtf8(source, bytes, 0);
  }
}

/** @param offset Where the bytes stand in the whole. */
export function notUtf8(source: string, bytes: Uint8Array, offset: number): UsageError {
  const at = invalidAt(bytes);
  const value = (bytes[at] ?? 0).toString(16).padStart(2, "0");
  return refuse(source, `byte ${offset + at} (0x${value}) does not belong to a character`);
}

/** Every other byte at the beginning is 0: Latin letters in UTF-16 without a mark, which would be valid UTF-8. */
function looksLikeUtf16(bytes: Uint8Array): boolean {
  const start = bytes.subarray(0, 64);
  const zeros = [0, 1].map((parity) => start.filter((byte, i) => i % 2 === parity && byte === 0).length);
  const [even = 0, odd = 0] = zeros;
  return start.length >= 4 && (even === 0 ? odd : odd === 0 ? even : 0) >= Math.floor(start.length / 2);
}

/** A text that comes from the command line, without the byte order mark that a shell may have passed on. */
export function withoutMark(text: string): string {
  return text.startsWith(mark) ? text.slice(mark.length) : text;
}

function refuse(source: string, problem: string): UsageError {
  return new UsageError(`${source} is not UTF-8: ${problem}; convert it first, such as with iconv -f GBK -t UTF-8`);
}

/** Offset of the first byte that cannot be part of UTF-8, or where it breaks off. */
function invalidAt(bytes: Uint8Array): number {
  // The length of the longest valid prefix: what decodes as a stream, less the bytes that it is still waiting for.
  const isValid = (end: number): boolean => {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, end), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  let [valid, invalid] = [0, bytes.length + 1];
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1;
    if (isValid(middle)) valid = middle;
    else invalid = middle;
  }
  // `valid` bytes may end within a character; step back to where it begins.
  let start = valid;
  while (start > 0 && valid - start < 3 && ((bytes[start - 1] ?? 0) & 0xc0) === 0x80) start--;
  const lead = bytes[start - 1] ?? 0;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  return start > 0 && valid - start + 1 < length ? start - 1 : valid;
}

/** @throws {UsageError} for a file that cannot be read */
export async function readTextFile(path: string): Promise<string> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    const reasons: Readonly<Record<string, string>> = {
      ENOENT: "there is no such file",
      EISDIR: "it is a folder",
      EACCES: "it may not be read",
    };
    throw new UsageError(`${path} cannot be read: ${reasons[error.code ?? ""] ?? error.message}`);
  });
  return decodeText(bytes, path);
}

/** All of standard input; after a second without its end it is said what is waited for. */
export async function readStandardInput(signal: AbortSignal, what: string, telling: Telling): Promise<Uint8Array> {
  using _ = createHint(`reading ${what} from standard input`, telling);
  return await unlessAborted(buffer(process.stdin), signal);
}

/** Editors and `echo` end a text with a line break that is not meant. */
export function withoutLastBreak(text: string): string {
  return text.replace(/\r?\n$/, "");
}
