// The layout of a file of tokenized documents:
//
//   header, 64 bytes, little-endian: magic "PLTOKENS", u32 version, u32 bytes of a token (2 or 4), u32 vocabulary size,
//     u32 0, u64 documents D, u64 tokens N, 16 bytes fingerprint of the vocabulary, 8 bytes 0
//   tokens [N], u16 or u32, up to a multiple of 8 bytes
//   document starts [D + 1], u64, in tokens; the last one is N
//
// The starts come last since they are known last: a writer needs no memory for tokens and a reader none for either.

export const headerBytes = 64;
const magic = "PLTOKENS";
const version = 1;

/** What a file of tokens says of itself. */
export interface TokenHeader {
  /** Bytes of a token. */
  readonly width: 2 | 4;
  readonly vocabSize: number;
  /** Of the vocabulary, 32 hexadecimal digits. */
  readonly fingerprint: string;
  readonly documents: number;
  readonly tokens: number;
}

/** Where the document starts begin, in bytes. */
export function startsOffset({ width, tokens }: TokenHeader): number {
  return headerBytes + Math.ceil((tokens * width) / 8) * 8;
}

/** Bytes of the whole file. */
export function fileBytes(header: TokenHeader): number {
  return startsOffset(header) + 8 * (header.documents + 1);
}

export function encodeHeader(header: TokenHeader): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(headerBytes);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(magic));
  view.setUint32(8, version, true);
  view.setUint32(12, header.width, true);
  view.setUint32(16, header.vocabSize, true);
  view.setBigUint64(24, BigInt(header.documents), true);
  view.setBigUint64(32, BigInt(header.tokens), true);
  for (let at = 0; at < 16; at++) bytes[40 + at] = Number.parseInt(header.fingerprint.slice(2 * at, 2 * at + 2), 16);
  return bytes;
}

/** @returns What is wrong, as the end of a sentence that begins with the file's name, for bytes that are no header. */
export function decodeHeader(bytes: Uint8Array): TokenHeader | string {
  if (bytes.length < headerBytes || new TextDecoder("latin1").decode(bytes.subarray(0, 8)) !== magic) {
    return "is no file of tokens, or was cut off within its header";
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = view.getUint32(8, true);
  if (found !== version) return `has version ${found} of the format; this program reads version ${version}`;
  const width = view.getUint32(12, true);
  const documents = Number(view.getBigUint64(24, true));
  const tokens = Number(view.getBigUint64(32, true));
  if (width !== 2 && width !== 4) return `has tokens of ${width} bytes; there are 2 and 4`;
  if (!Number.isSafeInteger(8 * documents) || !Number.isSafeInteger(4 * tokens)) return "has a damaged header";
  const fingerprint = Array.from(bytes.subarray(40, 56), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { width, vocabSize: view.getUint32(16, true), fingerprint, documents, tokens };
}
