// Small checkpoints made by the tests themselves.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PolyllamaError } from "@polyllama/core";
import { afterEach, expect } from "vitest";

export * from "@polyllama/test-support/hugging-face";

const folders: string[] = [];

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

/** A new folder with these files, removed after the test. */
export async function folderWith(files: Readonly<Record<string, string | Uint8Array>> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "polyllama-checkpoints-"));
  folders.push(folder);
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}

/** The error that a promise rejects with, which must be one of ours. */
export async function failure(promise: Promise<unknown>): Promise<PolyllamaError> {
  const error: unknown = await promise.then(
    () => expect.fail("this should have been refused"),
    (reason: unknown) => reason,
  );
  if (!(error instanceof PolyllamaError)) throw error;
  return error;
}

/** A GGUF file of version 3, or other numbers where a test wants them, from parts. */
export function gguf(parts: {
  readonly magic?: string;
  readonly version?: number;
  readonly tensorCount?: bigint;
  readonly entryCount?: bigint;
  readonly entries?: readonly Uint8Array[];
  readonly tensors?: readonly Uint8Array[];
  readonly data?: Uint8Array;
}): Uint8Array<ArrayBuffer> {
  const { magic = "GGUF", version = 3, entries = [], tensors = [], data = new Uint8Array(0) } = parts;
  const header = Buffer.concat([
    Buffer.from(magic),
    u32(version),
    u64(parts.tensorCount ?? BigInt(tensors.length)),
    u64(parts.entryCount ?? BigInt(entries.length)),
    ...entries,
    ...tensors,
  ]);
  const padded = Buffer.alloc(Math.ceil(header.length / 32) * 32);
  header.copy(padded);
  return new Uint8Array(Buffer.concat([padded, data]));
}

export function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function u64(value: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

export function text(value: string): Uint8Array {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(BigInt(bytes.length)), bytes]);
}

/** A metadata entry. */
export function entry(key: string, type: number, ...value: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([text(key), u32(type), ...value]);
}

/** A tensor's entry; `dims` innermost first, as in the file. */
export function tensorEntry(name: string, dims: readonly bigint[], type: number, offset: bigint): Uint8Array {
  return Buffer.concat([text(name), u32(dims.length), ...dims.map(u64), u32(type), u64(offset)]);
}
