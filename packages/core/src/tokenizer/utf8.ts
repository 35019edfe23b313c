// UTF-8 by hand. TextDecoder merges several bad bytes into one replacement character and drops a byte order mark;
// SentencePiece, whose text this project reproduces to the character, does neither.

const replacement = "\uFFFD";

/** The text as UTF-8 can carry it: lone surrogates become U+FFFD. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, replacement);
}

/** Bytes of a text; lone surrogates become U+FFFD. */
export function utf8Encode(text: string): Uint8Array {
  const bytes = new Uint8Array(3 * text.length);
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    let code = text.codePointAt(at)!;
    if (code > 0xffff) at++;
    else if (code >= 0xd800 && code < 0xe000) code = 0xfffd;
    if (code < 0x80) bytes[length++] = code;
    else {
      if (code < 0x800) bytes[length++] = 0xc0 | (code >> 6);
      else {
        if (code < 0x10000) bytes[length++] = 0xe0 | (code >> 12);
        else {
          bytes[length++] = 0xf0 | (code >> 18);
          bytes[length++] = 0x80 | ((code >> 12) & 0x3f);
        }
        bytes[length++] = 0x80 | ((code >> 6) & 0x3f);
      }
      bytes[length++] = 0x80 | (code & 0x3f);
    }
  }
  return bytes.subarray(0, length);
}

/** Bytes that a character with this first byte has; 0 when no character begins with it. */
export function utf8Length(first: number): number {
  if (first < 0x80) return 1;
  if (first < 0xc0) return 0;
  if (first < 0xe0) return 2;
  if (first < 0xf0) return 3;
  return first < 0xf8 ? 4 : 0;
}

const least = [0, 0, 0x80, 0x800, 0x10000];

/** The code point at `at`, or -1 where the bytes up to `end` hold no whole, shortest-form, legal one. */
export function utf8CodePoint(bytes: ArrayLike<number>, at: number, end: number): number {
  const first = bytes[at]!;
  const length = utf8Length(first);
  if (length <= 1) return length === 1 ? first : -1;
  if (at + length > end) return -1;
  let code = first & (0x7f >> length);
  for (let i = at + 1; i < at + length; i++) {
    const byte = bytes[i]!;
    if ((byte & 0xc0) !== 0x80) return -1;
    code = (code << 6) | (byte & 0x3f);
  }
  return isLegal(code, length) ? code : -1;
}

/** Whether a code point may be written in that many bytes. */
export function isLegal(code: number, length: number): boolean {
  return code >= least[length]! && code <= 0x10ffff && (code < 0xd800 || code >= 0xe000);
}

/** The text of bytes, or undefined where they are not UTF-8. */
export function utf8Decode(bytes: Uint8Array): string | undefined {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const code = utf8CodePoint(bytes, at, bytes.length);
    if (code < 0) return undefined;
    text += String.fromCodePoint(code);
    at += utf8Length(bytes[at]!);
  }
  return text;
}

/** Decodes bytes as they come. A byte that cannot belong to any character becomes U+FFFD as soon as that is certain. */
export interface Utf8Stream {
  push(byte: number): string;
  /** Whether there are bytes of an incomplete character. */
  waiting(): boolean;
  /** Gives up on an incomplete character: each of its bytes becomes U+FFFD. */
  flush(): string;
}

export function utf8Stream(): Utf8Stream {
  // Of one character that is still incomplete: its bytes so far, how many it has, and what they say.
  let count = 0;
  let length = 0;
  let code = 0;

  const flush = (): string => {
    const text = replacement.repeat(count);
    count = 0;
    return text;
  };
  /** Whether no further bytes make a legal character of those that are there. */
  const hopeless = (): boolean => {
    const ways = 64 ** (length - count);
    const [lowest, highest] = [code * ways, (code + 1) * ways - 1];
    return highest < least[length]! || lowest > 0x10ffff || (lowest >= 0xd800 && highest < 0xe000);
  };
  const push = (byte: number): string => {
    if (count === 0) {
      if (byte < 0x80) return String.fromCharCode(byte);
      length = utf8Length(byte);
      code = byte & (0x7f >> length);
      count = 1;
      return length === 0 || hopeless() ? flush() : "";
    }
    // A byte that does not continue a character shows that those before it belong to none.
    if ((byte & 0xc0) !== 0x80) return flush() + push(byte);
    code = (code << 6) | (byte & 0x3f);
    count++;
    if (hopeless()) return flush();
    if (count < length) return "";
    count = 0;
    return code > 0xffff ? String.fromCodePoint(code) : String.fromCharCode(code);
  };
  return { push, flush, waiting: () => count > 0 };
}
