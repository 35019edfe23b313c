// Writes tokenized documents to a file, one after the other, in bounded memory. The file appears when it is complete:
// it is written under another name, forced to the disk, and renamed.

import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { PolyllamaError, type Tokenizer } from "@polyllama/core";
import { encodeHeader, headerBytes, startsOffset, type TokenHeader } from "./token-format.ts";
import { vocabularyFingerprint } from "./vocabulary-fingerprint.ts";

const bufferBytes = 1 << 20;

/**
 * Writes documents of tokens as they come.
 *
 * @param path Replaced when all is written.
 * @param tokenizer Of the tokens.
 * @returns The header: documents, tokens and vocabulary.
 * @throws {PolyllamaError} `ERR_DATA` for a document without tokens or with a token outside the vocabulary; what the
 * documents and the file system throw. Nothing is left of a file that was not completed.
 */
export async function writeTokenFile(
  path: string,
  documents: Iterable<ArrayLike<number>> | AsyncIterable<ArrayLike<number>>,
  tokenizer: Tokenizer,
): Promise<TokenHeader> {
  const { vocabSize } = tokenizer;
  const width = vocabSize <= 0x10000 ? 2 : 4;
  const temporary = `${path}.${process.pid}.tmp`;
  const file = await open(temporary, "w");
  try {
    const starts: number[] = [0];
    let tokens = 0;
    const out = bufferedWriter(file, headerBytes);
    for await (const ids of documents) {
      if (ids.length === 0)
        throw new PolyllamaError("ERR_DATA", `Document ${starts.length - 1} has no tokens; leave it out.`);
      for (let at = 0; at < ids.length; at++) {
        const id = ids[at]!;
        if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
          const problem = `Token ${at} of document ${starts.length - 1} is ${id}; the vocabulary has 0 to ${vocabSize - 1}`;
          throw new PolyllamaError("ERR_DATA", `${problem}. Tokenize the text with this vocabulary.`);
        }
        const full = out.number(id, width);
        if (full !== undefined) await full;
      }
      tokens += ids.length;
      starts.push(tokens);
    }
    const fingerprint = vocabularyFingerprint(tokenizer);
    const header: TokenHeader = { width, vocabSize, fingerprint, documents: starts.length - 1, tokens };
    while (out.position < startsOffset(header)) await out.number(0, 1);
    for (const start of starts) await out.number(start, 8);
    await out.flush();
    await file.write(encodeHeader(header), 0, headerBytes, 0);
    await file.sync();
    await file.close();
    await rename(temporary, path);
    return header;
  } catch (error) {
    await file.close().catch(() => {}); // the first error is the one to tell
    await rm(temporary, { force: true });
    throw error;
  }
}

interface BufferedWriter {
  /** Where the next byte goes. */
  readonly position: number;
  number(value: number, width: 1 | 2 | 4 | 8): Promise<void> | undefined;
  flush(): Promise<void>;
}

function bufferedWriter(file: FileHandle, start: number): BufferedWriter {
  const bytes = new Uint8Array(bufferBytes);
  const view = new DataView(bytes.buffer);
  let [from, used] = [start, 0];
  const flush = async (): Promise<void> => {
    for (let done = 0; done < used; ) {
      const { bytesWritten } = await file.write(bytes, done, used - done, from + done);
      done += bytesWritten;
    }
    [from, used] = [from + used, 0];
  };
  return {
    get position() {
      return from + used;
    },
    flush,
    number(value, width) {
      if (width === 1) view.setUint8(used, value);
      else if (width === 2) view.setUint16(used, value, true);
      else if (width === 4) view.setUint32(used, value, true);
      else view.setBigUint64(used, BigInt(value), true);
      used += width;
      return used + 8 > bufferBytes ? flush() : undefined;
    },
  };
}
