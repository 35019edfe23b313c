// What a checkpoint and a tokenizer can be opened from, told by what an object can do and not by its class, since
// classes differ between runtimes and pages.

import { OptionError, type OptionType, option } from "@polyllama/core";
import type { ByteSource } from "./read/sources/byte-source.ts";

/** A file that is open, such as a FileHandle of `node:fs/promises`. It stays the caller's to close. */
export interface OpenFile {
  readonly fd: number;
  /** Length in bytes, and what tells whether the file changed. */
  stat(options: { readonly bigint: true }): Promise<OpenFileStats>;
  /** Reads bytes at a position into a buffer, possibly fewer than were asked for. */
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
  /** Closes the file. */
  close(): Promise<void>;
}

/** What tells a file, and whether it changed. */
export type OpenFileStats = Readonly<Record<"dev" | "ino" | "size" | "mtimeNs" | "ctimeNs", bigint>>;

/** A file, or the files of a folder. */
export type WebLocation =
  | URL
  | Blob
  | FileSystemFileHandle
  | readonly File[]
  | Uint8Array
  | ArrayBuffer
  | OpenFile
  | ByteSource;

/** The file of a tokenizer. */
export type TokenizerLocation = string | Exclude<WebLocation, readonly File[]>;

const blob = option.having(["slice", "arrayBuffer", "stream"], "a File or Blob");
const handle = option.having(["getFile"], "a file handle");
const readable = option.having(["read", "close"], "an open file");

const single: OptionType = {
  expected: "a path, a URL, a File, Blob or file handle, or the bytes of a file as a Uint8Array, Buffer or ArrayBuffer",
  accepts: (value) =>
    (typeof value === "string" && value !== "") ||
    value instanceof URL ||
    isBytes(value) ||
    [blob, handle, readable].some((type) => type.accepts(value)),
  remedy(value) {
    if (option.having(["then"], "a promise").accepts(value)) return "Await it first.";
    if (option.having(["blob", "json"], "a Response").accepts(value)) return "Give its URL, or await its blob().";
    if (option.having(["getReader"], "a stream").accepts(value)) return "Give all its bytes, or where they come from.";
    return undefined;
  },
};

/** Where a checkpoint is. */
export const checkpointLocation: OptionType = {
  ...single,
  expected: `${single.expected}, or a list of Files`,
  accepts: (value) =>
    single.accepts(value) || (Array.isArray(value) && value.length > 0 && value.every((each) => blob.accepts(each))),
  required: true,
};

/** Where a tokenizer is. */
export const tokenizerLocation: OptionType = single;

export function isBytes(value: unknown): value is Uint8Array | ArrayBuffer {
  const name = Object.prototype.toString.call(value); // of another realm, too
  return name === "[object Uint8Array]" || name === "[object ArrayBuffer]" || name === "[object SharedArrayBuffer]";
}

export function isOpenFile(value: unknown): value is OpenFile {
  return readable.accepts(value) && "fd" in (value as object);
}

export function isByteSource(value: unknown): value is ByteSource {
  return readable.accepts(value) && !isOpenFile(value);
}

/**
 * An address as a string of a kind that is known: `https:`, `file:`, `hf:`, `synthetic:`, a path.
 *
 * @throws {OptionError} for other kinds, such as `s3:`.
 */
export function addressOf(location: string | URL, name: string): string {
  const address = typeof location === "string" ? location : location.href;
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(address)?.[1]?.toLowerCase();
  const isPath = scheme === undefined || (typeof location === "string" && !address.includes("://"));
  if (isPath || schemes.includes(scheme)) return address;
  const expected = `an address that starts with ${schemes.map((each) => `${each}:`).join(", ")}, or a path`;
  const message = `${name} is ${JSON.stringify(address.slice(0, 100))}, and nothing is read from ${scheme}: addresses. Give ${expected}.`;
  throw new OptionError(message, { option: name, expected, value: location });
}

const schemes: readonly string[] = ["http", "https", "file", "hf", "synthetic", "blob", "data"];
