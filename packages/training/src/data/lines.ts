// Lines of a file that comes in chunks. What is held is one line, however long the file; each is decoded by itself, so
// that an error names the line it is in.

import { DataError } from "../dialogues/data-error.ts";

/** Bytes of a file, in order. */
export type Chunks = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** Bytes of a line that are kept before it is refused; 64 MiB. */
const longest = 1 << 26;
const newline = 10;

/**
 * The lines without their ends (`\n` or `\r\n`); a byte order mark in front is dropped.
 *
 * @param file Its name, for errors.
 * @throws {DataError} for a line that is not UTF-8 or longer than 64 MiB; what the chunks throw.
 */
export async function* readLines(chunks: Chunks, file: string): AsyncGenerator<string, void, undefined> {
  let line = 1;
  let parts: Uint8Array[] = [];
  let held = 0;
  const hold = (part: Uint8Array): void => {
    held += part.length;
    if (held > longest)
      throw new DataError({ file, line }, undefined, "is longer than 64 MiB; put shorter texts on lines");
    if (part.length > 0) parts.push(part.slice()); // the chunk may be filled anew
  };
  const take = (): string => {
    const text = decoded(parts, { file, line });
    [parts, held] = [[], 0];
    line++;
    return text;
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, from)) {
      hold(chunk.subarray(from, end));
      from = end + 1;
      yield take();
    }
    hold(chunk.subarray(from));
  }
  if (held > 0) yield take();
}

function decoded(parts: readonly Uint8Array[], place: { readonly file: string; readonly line: number }): string {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: place.line > 1 });
  try {
    const text = parts.map((part) => decoder.decode(part, { stream: true })).join("") + decoder.decode();
    return text.endsWith("\r") ? text.slice(0, -1) : text;
  } catch (cause) {
    throw new DataError(place, undefined, "is not UTF-8; convert the file", { cause });
  }
}
