// Reads a file of tokenized documents: opening it reads its header and checks it against the file's size and the
// vocabulary; a document is read from its place when it is asked for.

import { type FileHandle, open } from "node:fs/promises";
import { PolyllamaError, type Tokenizer } from "@polyllama/core";
import { checkDocument, type DocumentSource } from "./document-source.ts";
import { decodeHeader, fileBytes, headerBytes, startsOffset, type TokenHeader } from "./token-format.ts";
import { vocabularyFingerprint } from "./vocabulary-fingerprint.ts";

/** An open file of tokens. Disposing it closes the file. */
export interface TokenFile extends DocumentSource, AsyncDisposable {
  readonly header: TokenHeader;
  /** A document's tokens, all of which count. @throws {PolyllamaError} `ERR_DATA` for a damaged file; `ERR_OPTION` */
  read(document: number): Promise<{ readonly ids: Uint16Array | Uint32Array }>;
}

/**
 * @param tokenizer Of the model that is to be trained.
 * @throws {PolyllamaError} `ERR_DATA` for what is no complete file of tokens, or one of another vocabulary; what the
 * file system throws.
 */
export async function openTokenFile(path: string, tokenizer: Tokenizer): Promise<TokenFile> {
  const file = await open(path, "r");
  try {
    const bytes = new Uint8Array(headerBytes);
    const { bytesRead } = await file.read(bytes, 0, headerBytes, 0);
    const header = decodeHeader(bytes.subarray(0, bytesRead));
    if (typeof header === "string") throw damaged(path, header);
    const { size } = await file.stat();
    const expected = fileBytes(header);
    if (size !== expected) throw damaged(path, `has ${size} bytes, not ${expected}: it was cut off or changed`);
    const { vocabSize } = tokenizer;
    if (header.vocabSize !== vocabSize || header.fingerprint !== vocabularyFingerprint(tokenizer)) {
      throw damaged(
        path,
        `holds tokens of another vocabulary, with ${header.vocabSize} pieces; the model's has ${vocabSize}`,
      );
    }
    return reader(file, path, header);
  } catch (error) {
    await file.close();
    throw error;
  }
}

function reader(file: FileHandle, path: string, header: TokenHeader): TokenFile {
  const { width, documents, tokens } = header;
  const starts = startsOffset(header);
  const read = async (position: number, length: number): Promise<ArrayBuffer> => {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const { bytesRead } = await file.read(bytes, done, length - done, position + done);
      if (bytesRead === 0) throw damaged(path, "was cut off while it was open");
      done += bytesRead;
    }
    return bytes.buffer;
  };
  return {
    header,
    documents,
    tokens,
    async read(document) {
      checkDocument(document, documents, path);
      const bounds = new DataView(await read(starts + 8 * document, 16));
      const start = Number(bounds.getBigUint64(0, true));
      const end = Number(bounds.getBigUint64(8, true));
      if (start >= end || end > tokens) throw damaged(path, `has a damaged start of document ${document}`);
      const bytes = new DataView(await read(headerBytes + width * start, width * (end - start)));
      const length = end - start;
      return width === 2
        ? { ids: Uint16Array.from({ length }, (_, at) => bytes.getUint16(2 * at, true)) }
        : { ids: Uint32Array.from({ length }, (_, at) => bytes.getUint32(4 * at, true)) };
    },
    async [Symbol.asyncDispose]() {
      await file.close();
    },
  };
}

function damaged(path: string, problem: string): PolyllamaError {
  return new PolyllamaError("ERR_DATA", `${path} ${problem}. Tokenize the text anew.`);
}
