// KV blocks in the host's memory. A block has an array of keys and one of values for each attention, and the tokens of
// its positions, which penalties look at; it takes memory from when it is first written.

import type { CacheFormat, RealArray } from "@polyllama/core";
import type { CacheSpec } from "@polyllama/core/device";
import { type ExportedKind, headBytes, readLength, writeHead } from "../frame/exported-cache.ts";
import type { BlockCopy } from "../frame/paged-cache.ts";
import type { PoolStorage } from "../frame/paged-pool.ts";
import type { Arrays } from "./rows.ts";

/** Positions of a block: few, so that forks copy little. */
export const hostBlockRows = 16;

/** Rows [n, G d] of keys and of values. */
export interface KeysAndValues<Reals extends RealArray> {
  readonly k: Reals;
  readonly v: Reals;
}

interface Block<Reals extends RealArray> {
  /** By attention: [blockRows, G d] each. */
  readonly keys: readonly Reals[];
  readonly values: readonly Reals[];
  /** [blockRows] */
  readonly tokens: Int32Array;
}

/** How a pool in the host's memory keeps keys and values. */
export interface HostBlocksOptions {
  /** Positions of a block; default {@link hostBlockRows}. */
  readonly rows?: number;
  /** Default: f32. */
  readonly format?: CacheFormat;
  /** Rounds rows [n, G d] to what is kept of them, where the format has fewer values than the arrays. */
  readonly round?: ((values: RealArray) => void) | undefined;
}

/** The memory of a pool. */
export class HostBlocks<Reals extends RealArray> implements PoolStorage {
  readonly #arrays: Arrays<Reals>;
  readonly #spec: CacheSpec;
  readonly #widths: readonly number[];
  readonly #rows: number;
  readonly #kind: ExportedKind;
  readonly #round: HostBlocksOptions["round"];
  readonly #blocks: (Block<Reals> | undefined)[];

  constructor(arrays: Arrays<Reals>, spec: CacheSpec, blocks: number, options: HostBlocksOptions = {}) {
    const { rows = hostBlockRows, format = "f32", round } = options;
    this.#arrays = arrays;
    this.#spec = spec;
    this.#widths = spec.map(({ kvHeads, headDim }) => kvHeads * headDim);
    this.#rows = rows;
    this.#kind = { mark: marks + arrays.BYTES_PER_ELEMENT, spec, format };
    this.#round = round;
    this.#blocks = new Array<Block<Reals> | undefined>(blocks).fill(undefined);
  }

  get bytes(): number {
    return this.#blocks.length * this.#rows * hostCacheBytes(this.#arrays, this.#spec);
  }

  /** Memory of the blocks that were written so far. */
  get allocated(): number {
    const written = this.#blocks.filter((block) => block !== undefined).length;
    return written * this.#rows * hostCacheBytes(this.#arrays, this.#spec);
  }

  /** Writes keys and values of consecutive positions, rows [n, G d], and gives all of the sequence up to there. */
  write(table: Uint32Array, attention: number, start: number, k: RealArray, v: RealArray): KeysAndValues<Reals> {
    const end = start + k.length / this.#widths[attention]!;
    this.#scatter(table, attention, start, this.#rounded(k), this.#rounded(v));
    return this.#gather(table, attention, end);
  }

  /** Writes the tokens of consecutive positions. */
  writeTokens(table: Uint32Array, start: number, tokens: Int32Array): void {
    for (const [i, token] of tokens.entries()) {
      const position = start + i;
      this.#block(table[Math.floor(position / this.#rows)]!).tokens[position % this.#rows] = token;
    }
  }

  /** The tokens of positions 0 to `length - 1`. */
  tokens(table: Uint32Array, length: number): Int32Array {
    return Int32Array.from(
      { length },
      (_, i) => this.#block(table[Math.floor(i / this.#rows)]!).tokens[i % this.#rows]!,
    );
  }

  /** Copies a block that was written into one that is free: before a fork writes to it. */
  copy({ from, to }: BlockCopy): void {
    const source = this.#block(from);
    const target = this.#empty();
    for (const attention of this.#widths.keys()) {
      target.keys[attention]!.set(source.keys[attention]!);
      target.values[attention]!.set(source.values[attention]!);
    }
    target.tokens.set(source.tokens);
    this.#blocks[to] = target;
  }

  async export(table: readonly number[], length: number): Promise<Uint8Array> {
    const ids = Uint32Array.from(table);
    const parts: (Int32Array | RealArray)[] = [this.tokens(ids, length)];
    for (const attention of this.#widths.keys()) {
      const { k, v } = this.#gather(ids, attention, length);
      parts.push(k, v);
    }
    let at = headBytes(this.#kind);
    const bytes = new Uint8Array(parts.reduce((sum, { byteLength }) => sum + byteLength, at));
    writeHead(bytes, this.#kind, length);
    for (const { buffer, byteOffset, byteLength } of parts) {
      bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
      at += byteLength;
    }
    return bytes;
  }

  lengthOf(bytes: Uint8Array): number {
    return readLength(bytes, this.#kind, (length) => length * hostCacheBytes(this.#arrays, this.#spec));
  }

  async import(table: readonly number[], bytes: Uint8Array): Promise<void> {
    const ids = Uint32Array.from(table);
    const length = this.lengthOf(bytes);
    let at = headBytes(this.#kind);
    const next = <Target extends Int32Array | Reals>(target: Target): Target => {
      const { buffer, byteLength } = target;
      new Uint8Array(buffer).set(bytes.subarray(at, at + byteLength));
      at += byteLength;
      return target;
    };
    this.writeTokens(ids, 0, next(new Int32Array(length)));
    for (const [attention, width] of this.#widths.entries()) {
      const rows = (): Reals => next(new this.#arrays(length * width));
      this.#scatter(ids, attention, 0, rows(), rows());
    }
  }

  /** Forgets all blocks. */
  free(): void {
    this.#blocks.fill(undefined);
  }

  #rounded(values: RealArray): RealArray {
    const round = this.#round;
    if (round === undefined) return values;
    const rounded = new this.#arrays(values.length);
    rounded.set(values);
    round(rounded);
    return rounded;
  }

  #scatter(table: Uint32Array, attention: number, start: number, k: RealArray, v: RealArray): void {
    const width = this.#widths[attention]!;
    for (let done = 0; done < k.length; ) {
      const position = start + done / width;
      const offset = position % this.#rows;
      const count = Math.min((this.#rows - offset) * width, k.length - done);
      const block = this.#block(table[Math.floor(position / this.#rows)]!);
      block.keys[attention]!.set(k.subarray(done, done + count), offset * width);
      block.values[attention]!.set(v.subarray(done, done + count), offset * width);
      done += count;
    }
  }

  #gather(table: Uint32Array, attention: number, length: number): KeysAndValues<Reals> {
    const width = this.#widths[attention]!;
    const [k, v] = [new this.#arrays(length * width), new this.#arrays(length * width)];
    for (let position = 0; position < length; position += this.#rows) {
      const count = Math.min(this.#rows, length - position);
      const block = this.#block(table[position / this.#rows]!);
      k.set(block.keys[attention]!.subarray(0, count * width), position * width);
      v.set(block.values[attention]!.subarray(0, count * width), position * width);
    }
    return { k, v };
  }

  #block(id: number): Block<Reals> {
    const known = this.#blocks[id];
    if (known !== undefined) return known;
    const made = this.#empty();
    this.#blocks[id] = made;
    return made;
  }

  #empty(): Block<Reals> {
    const arrays = (): readonly Reals[] => this.#widths.map((width) => new this.#arrays(width * this.#rows));
    return { keys: arrays(), values: arrays(), tokens: new Int32Array(this.#rows) };
  }
}

/** Bytes of a position, its token included. */
export function hostCacheBytes({ BYTES_PER_ELEMENT: size }: Arrays<RealArray>, spec: CacheSpec): number {
  return spec.reduce((sum, { kvHeads, headDim }) => sum + 2 * size * kvHeads * headDim, 4);
}

/** "HKV", as the upper bytes of a word. */
const marks = 0x484b5600;
