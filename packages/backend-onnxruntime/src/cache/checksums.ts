// Checksums of packed arrays: of every mebibyte of an array one XXH64, made from the bytes as they are packed and
// compared with what the file holds before ONNX Runtime maps it. XXH64 finds damage, not forgery; it runs at the speed
// of memory, so that checking a file costs little more than reading it.

import type { FileHandle } from "node:fs/promises";
import { checksumBlock, checksumText, checksumDigits as digits } from "@polyllama/planner/packed-weights";
import xxhash, { type XXHash, type XXHashAPI } from "xxhash-wasm";
import type { Layout, PackedArray } from "../pack/layout.ts";

/** Blocks that are read at the same time. */
const concurrentReads = 4;

let loading: Promise<XXHashAPI> | undefined;

/** The checksums of an array whose bytes come one after the other. */
export interface ArrayChecksum {
  update(bytes: Uint8Array): void;
  /** 16 hexadecimal digits a block. */
  digest(): string;
}

/** Makes checksums; loads the hash at the first call. */
export async function checksummer(): Promise<() => ArrayChecksum> {
  loading ??= xxhash();
  const { create64 } = await loading;
  return () => {
    const blocks: XXHash<bigint>[] = [];
    let room = 0;
    return {
      update(bytes) {
        for (let at = 0; at < bytes.length; ) {
          if (room === 0) {
            blocks.push(create64());
            room = checksumBlock;
          }
          const piece = bytes.subarray(at, at + room);
          blocks.at(-1)?.update(piece);
          at += piece.length;
          room -= piece.length;
        }
      },
      digest: () => blocks.map((block) => checksumText(block.digest())).join(""),
    };
  };
}

/** The arrays of a packed file, in the order in which their checksums are listed. */
export function packedArrays({ matrices }: Layout): readonly PackedArray[] {
  return matrices.flatMap(({ parts }) => parts.map(({ array }) => array));
}

/**
 * Compares a packed file with its checksums, all blocks of all arrays.
 *
 * @param onBytes Called with the bytes that have been checked.
 * @returns What is wrong with it, as a clause; undefined where nothing is.
 * @throws What reading throws; the signal's reason.
 */
export async function findDamage(
  file: FileHandle,
  layout: Layout,
  checksums: readonly string[],
  onBytes: (checked: number) => void,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  loading ??= xxhash();
  const { h64Raw } = await loading;
  const blocks = packedArrays(layout).flatMap((array, index) => {
    const count = Math.ceil(array.length / checksumBlock);
    return Array.from({ length: count }, (_, block) => ({
      array,
      start: block * checksumBlock,
      length: Math.min(checksumBlock, array.length - block * checksumBlock),
      expected: checksums[index]?.slice(block * digits, (block + 1) * digits),
    }));
  });
  let next = 0;
  let checked = 0;
  let damage: string | undefined;
  const check = async (): Promise<void> => {
    const buffer = new Uint8Array(checksumBlock);
    while (damage === undefined && next < blocks.length) {
      signal?.throwIfAborted();
      const { array, start, length, expected } = blocks[next++]!; // next was within
      const { bytesRead } = await file.read(buffer, 0, length, array.offset + start);
      if (bytesRead !== length || checksumText(h64Raw(buffer.subarray(0, length))) !== expected) {
        damage = `the bytes from ${array.offset + start} on (${array.name}) do not match their checksum`;
        return;
      }
      checked += length;
      onBytes(checked);
    }
  };
  const readers = Array.from({ length: Math.min(concurrentReads, blocks.length) }, check);
  const failure = (await Promise.allSettled(readers)).find((outcome) => outcome.status === "rejected");
  if (failure !== undefined) throw failure.reason;
  return damage;
}
