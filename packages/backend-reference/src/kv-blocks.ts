// KV blocks in float64, rounded to the pool's format where it has one. A block has an array of keys and one of values for each attention,
// and the tokens of its positions; it takes memory from when it is first written.

import { type CacheFormat, PolyllamaError } from "@polyllama/core";
import type { CacheSpec } from "@polyllama/core/device";
import { f16Table, numberToBf16, numberToF16 } from "@polyllama/formats";
import type { BlockCopy, PoolStorage } from "@polyllama/planner";
import type { KeysAndValues } from "./ops/evaluator.ts";

/** Positions of a block: few, so that small tests have several. */
export const blockRows = 16;

interface Block {
  /** By attention: [blockRows, G d] each. */
  readonly keys: readonly Float64Array[];
  readonly values: readonly Float64Array[];
  /** [blockRows] */
  readonly tokens: Int32Array;
}

/** The memory of a pool. */
export class ReferenceBlocks implements PoolStorage {
  readonly #widths: readonly number[];
  readonly #format: CacheFormat;
  readonly #rows: number;
  readonly #blocks: (Block | undefined)[];

  /** @param rows Positions of a block. */
  constructor(spec: CacheSpec, format: CacheFormat, blocks: number, rows: number = blockRows) {
    this.#widths = spec.map(({ kvHeads, headDim }) => kvHeads * headDim);
    this.#format = format;
    this.#rows = rows;
    this.#blocks = new Array<Block | undefined>(blocks).fill(undefined);
  }

  get bytes(): number {
    return this.#blocks.length * blockBytes(this.#widths, this.#rows);
  }

  /** Memory of the blocks that were written so far. */
  get allocated(): number {
    return this.#blocks.filter((block) => block !== undefined).length * blockBytes(this.#widths, this.#rows);
  }

  /** Writes keys and values of consecutive positions, rows [n, G d], and gives all of the sequence up to there. */
  write(table: Uint32Array, attention: number, start: number, k: Float64Array, v: Float64Array): KeysAndValues {
    const width = this.#widths[attention]!;
    const end = start + k.length / width;
    this.#scatter(table, attention, start, rounded(k, this.#format), rounded(v, this.#format));
    return { k: this.#gather(table, attention, end, "keys"), v: this.#gather(table, attention, end, "values") };
  }

  /** Writes the tokens of consecutive positions. */
  writeTokens(table: Uint32Array, start: number, tokens: Int32Array): void {
    for (const [i, token] of tokens.entries()) {
      const position = start + i;
      this.#block(table[Math.floor(position / this.#rows)]!).tokens[position % this.#rows] = token;
    }
  }

  /** The tokens of positions 0 to `length - 1`. */
  tokens(table: Uint32Array, length: number): readonly number[] {
    return Array.from({ length }, (_, i) => this.#block(table[Math.floor(i / this.#rows)]!).tokens[i % this.#rows]!);
  }

  copy({ from, to }: BlockCopy): void {
    const source = this.#block(from);
    this.#blocks[to] = {
      keys: source.keys.map((each) => each.slice()),
      values: source.values.map((each) => each.slice()),
      tokens: source.tokens.slice(),
    };
  }

  async export(table: readonly number[], length: number): Promise<Uint8Array> {
    const ids = Uint32Array.from(table);
    const parts = [this.#header(length), Float64Array.from(this.tokens(ids, length))];
    for (const attention of this.#widths.keys()) {
      parts.push(this.#gather(ids, attention, length, "keys"), this.#gather(ids, attention, length, "values"));
    }
    const bytes = new Uint8Array(parts.reduce((sum, { byteLength }) => sum + byteLength, 0));
    let at = 0;
    for (const { buffer, byteOffset, byteLength } of parts) {
      bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
      at += byteLength;
    }
    return bytes;
  }

  lengthOf(bytes: Uint8Array): number {
    const numbers = bytes.length % 8 === 0 ? asNumbers(bytes) : new Float64Array(0);
    const length = numbers.at(this.#header(0).length - 1) ?? -1;
    const header = this.#header(length);
    const size = header.length + length + 2 * length * this.#widths.reduce((sum, width) => sum + width, 0);
    if (numbers.length === size && header.every((number, i) => number === numbers[i])) return length;
    throw new PolyllamaError(
      "ERR_OPTION",
      `These ${bytes.length} bytes are no cache of this pool's shape and format (${this.#format}); import what such a cache exported.`,
    );
  }

  async import(table: readonly number[], bytes: Uint8Array): Promise<void> {
    const ids = Uint32Array.from(table);
    const length = this.lengthOf(bytes);
    const numbers = asNumbers(bytes);
    let at = this.#header(0).length;
    const next = (count: number): Float64Array => {
      at += count;
      return numbers.subarray(at - count, at);
    };
    this.writeTokens(ids, 0, Int32Array.from(next(length)));
    for (const [attention, width] of this.#widths.entries()) {
      this.#scatter(ids, attention, 0, next(length * width), next(length * width));
    }
  }

  free(): void {
    this.#blocks.fill(undefined);
  }

  /** What bytes must agree in, and the length. */
  #header(length: number): Float64Array {
    return Float64Array.of(["f32", "f16", "bf16"].indexOf(this.#format), this.#widths.length, ...this.#widths, length);
  }

  #scatter(table: Uint32Array, attention: number, start: number, k: Float64Array, v: Float64Array): void {
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

  #gather(table: Uint32Array, attention: number, length: number, which: "keys" | "values"): Float64Array {
    const width = this.#widths[attention]!;
    const rows = new Float64Array(length * width);
    for (let position = 0; position < length; position += this.#rows) {
      const count = Math.min(this.#rows, length - position);
      const block = this.#block(table[position / this.#rows]!);
      rows.set(block[which][attention]!.subarray(0, count * width), position * width);
    }
    return rows;
  }

  #block(id: number): Block {
    const known = this.#blocks[id];
    if (known !== undefined) return known;
    const arrays = (): readonly Float64Array[] => this.#widths.map((width) => new Float64Array(width * this.#rows));
    const made = { keys: arrays(), values: arrays(), tokens: new Int32Array(this.#rows) };
    this.#blocks[id] = made;
    return made;
  }
}

/** Memory of a block. */
export function blockBytes(widths: readonly number[], rows: number): number {
  return rows * (16 * widths.reduce((sum, width) => sum + width, 0) + 4);
}

function asNumbers(bytes: Uint8Array): Float64Array {
  return new Float64Array(new Uint8Array(bytes).buffer);
}

function rounded(values: Float64Array, format: CacheFormat): Float64Array {
  if (format === "f32") return values;
  if (format === "f16") return values.map((value) => f16Table[numberToF16(value)]!);
  const bits = new Uint32Array(1);
  const number = new Float32Array(bits.buffer);
  return values.map((value) => {
    bits[0] = numberToBf16(value) << 16;
    return number[0]!;
  });
}
