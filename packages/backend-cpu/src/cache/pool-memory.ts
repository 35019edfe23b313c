// The memory of a pool of KV blocks: one arena, of which the system only commits what is written. Beside it stand the
// tokens of each position, for penalties.

import type { CacheFormat } from "@polyllama/core";
import type { CacheSpec } from "@polyllama/core/device";
import {
  type BlockCopy,
  type ExportedKind,
  headBytes,
  type PoolStorage,
  readLength,
  writeHead,
} from "@polyllama/planner";
import type { Machine } from "../machine.ts";
import { kvBlockRows } from "../modes.ts";
import type { Arena } from "../native/engine.ts";
import { blockBytes, blocksFor } from "./layout.ts";

/** "CPU1", as a word: tokens, then blocks as they lie in memory; what stands behind the last position is never read. */
const mark = 0x31555043;
/** Bytes of tokens beside a block. */
const tokenBytes = 4 * kvBlockRows;

export class PoolMemory implements PoolStorage {
  readonly bytes: number;
  readonly blockBytes: number;
  readonly format: CacheFormat;
  readonly #kind: ExportedKind;
  readonly #arena: Arena;
  readonly #tokens: Int32Array;

  /** @param what What it is for, for errors. @throws {MemoryError} */
  constructor(machine: Machine, spec: CacheSpec, format: CacheFormat, blocks: number, what: string) {
    this.format = format;
    this.blockBytes = blockBytes(spec, format);
    this.bytes = blocks * this.blockBytes;
    this.#kind = { mark, spec, format };
    this.#arena = machine.allocate(this.bytes, what);
    this.#tokens = new Int32Array(blocks * kvBlockRows);
  }

  get ref(): bigint {
    return this.#arena.ref;
  }

  /** Notes the tokens of positions from `start` on. */
  writeTokens(table: Uint32Array, start: number, tokens: Int32Array): void {
    for (const [i, token] of tokens.entries()) {
      const position = start + i;
      const block = table[Math.floor(position / kvBlockRows)]!; // the table has all positions
      this.#tokens[block * kvBlockRows + (position % kvBlockRows)] = token;
    }
  }

  /** The first tokens of a sequence. */
  tokens(table: Uint32Array, end: number): number[] {
    const list = new Array<number>(end);
    for (let i = 0; i < end; i++) {
      const block = table[Math.floor(i / kvBlockRows)]!; // the table has all positions
      list[i] = this.#tokens[block * kvBlockRows + (i % kvBlockRows)]!;
    }
    return list;
  }

  /** The tokens of a copied block; its bytes are copied by a step. */
  copyTokens({ from, to }: BlockCopy): void {
    this.#tokens.copyWithin(to * kvBlockRows, from * kvBlockRows, (from + 1) * kvBlockRows);
  }

  async export(table: readonly number[], length: number): Promise<Uint8Array> {
    const head = headBytes(this.#kind);
    const each = tokenBytes + this.blockBytes;
    const bytes = new Uint8Array(head + table.length * each);
    writeHead(bytes, this.#kind, length);
    for (const [i, block] of table.entries()) {
      const own = this.#tokens.subarray(block * kvBlockRows, (block + 1) * kvBlockRows);
      bytes.set(new Uint8Array(own.buffer, own.byteOffset, tokenBytes), head + i * each);
      bytes.set(this.#block(block), head + i * each + tokenBytes);
      if (i % 64 === 63) await new Promise((resolve) => setTimeout(resolve)); // others have their turns
    }
    return bytes;
  }

  lengthOf(bytes: Uint8Array): number {
    return readLength(bytes, this.#kind, (length) => blocksFor(length) * (tokenBytes + this.blockBytes));
  }

  async import(table: readonly number[], bytes: Uint8Array): Promise<void> {
    const each = tokenBytes + this.blockBytes;
    let at = headBytes(this.#kind);
    for (const [i, block] of table.entries()) {
      const own = bytes.slice(at, at + tokenBytes);
      this.#tokens.set(new Int32Array(own.buffer), block * kvBlockRows);
      this.#block(block).set(bytes.subarray(at + tokenBytes, at + each));
      at += each;
      if (i % 64 === 63) await new Promise((resolve) => setTimeout(resolve)); // others have their turns
    }
  }

  free(): void {
    this.#arena[Symbol.dispose]();
  }

  #block(block: number): Uint8Array {
    return this.#arena.bytesAt(block * this.blockBytes, this.blockBytes);
  }
}
