// KV blocks: each is the whole of a sequence, for every attention two f32 buffers [1, G, rows, padded d] in memory that
// ONNX Runtime allocates, so the system only commits the pages that are written. Attention appends in place; what lies
// beyond a sequence's length is never read. A fork that is written copies the positions in use. Beside them stand the
// tokens of each position, for penalties.

import type { AttentionNode } from "@polyllama/core";
import { ContextOverflowError, MemoryError } from "@polyllama/core";
import type { CacheSpec } from "@polyllama/core/device";
import {
  type BlockCopy,
  type ExportedKind,
  headBytes,
  type PoolStorage,
  readLength,
  writeHead,
} from "@polyllama/planner";
import { paddedHead } from "./emit/attention.ts";
import type { Handle, Ort } from "./ort/api.ts";

/** Bytes that the keys or the values of one attention take per position. */
function rowBytes({ kvHeads, headDim }: Pick<AttentionNode, "kvHeads" | "headDim">): number {
  return kvHeads * paddedHead(headDim) * 4;
}

/** Bytes of a block of so many positions. */
export function blockBytes(spec: CacheSpec, rows: number): number {
  return rows * spec.reduce((sum, attention) => sum + 2 * rowBytes(attention), 4);
}

/** "ORT1", as a word: heads are padded in what sequences are exported as. */
const mark = 0x3154524f;
/** Bytes copied between two turns of the event loop. */
const copyPerTurn = 8 << 20;
/** Rows of a head, after each of which it is looked how much was copied. */
const rowsAtOnce = 1024;

interface Block {
  /** By attention: keys, values. */
  readonly tensors: readonly (readonly [Handle, Handle])[];
  /** [rows] */
  readonly tokens: Int32Array;
}

/** Consecutive rows of one head, in a block and elsewhere. */
interface Piece {
  /** [rows, padded d] within the block. */
  readonly inBlock: Float32Array;
  /** Where it stands among all that is copied, in floats. */
  readonly at: number;
}

/** The memory of a pool. */
export class OnnxRuntimeBlocks implements PoolStorage {
  readonly rows: number;
  readonly bytes: number;
  readonly #ort: Ort;
  readonly #spec: CacheSpec;
  readonly #kind: ExportedKind;
  readonly #blocks: readonly Block[];

  /**
   * @param rows Positions of a block.
   * @throws {MemoryError}
   */
  constructor(ort: Ort, spec: CacheSpec, rows: number, blocks: number) {
    this.rows = rows;
    this.bytes = blocks * blockBytes(spec, rows);
    this.#ort = ort;
    this.#spec = spec;
    this.#kind = { mark, spec, format: "f32" };
    const allocated: Handle[] = [];
    const allocate = (shape: readonly number[]): Handle => {
      const tensor = ort.allocateTensor(shape, "f32");
      allocated.push(tensor);
      return tensor;
    };
    try {
      this.#blocks = Array.from({ length: blocks }, () => ({
        tensors: spec.map(({ kvHeads, headDim }) => {
          const shape = [1, kvHeads, rows, paddedHead(headDim)];
          return [allocate(shape), allocate(shape)] as const;
        }),
        tokens: new Int32Array(rows),
      }));
    } catch (cause) {
      for (const tensor of allocated) ort.releaseValue(tensor);
      const what = `A cache of ${blocks === 1 ? "" : `${blocks} sequences of `}${rows} positions`;
      throw new MemoryError(what, this.bytes, cause instanceof Error ? cause.message : String(cause));
    }
  }

  /** Keys and values of an attention. */
  tensors(block: number, attention: number): readonly [Handle, Handle] {
    return this.#blocks[block]!.tensors[attention]!;
  }

  /** The tokens of a block's positions [rows]. */
  tokens(block: number): Int32Array {
    return this.#blocks[block]!.tokens;
  }

  /** Copies the first `length` positions of a block to another one. */
  async copy({ from, to }: BlockCopy, length: number, signal: AbortSignal): Promise<void> {
    this.tokens(to).set(this.tokens(from).subarray(0, length));
    const targets = this.#pieces(to, length);
    for await (const { inBlock } of this.#inTurns(from, length)) {
      signal.throwIfAborted();
      targets.next().value!.inBlock.set(inBlock); // as many as there
    }
  }

  async export([block]: readonly number[], length: number): Promise<Uint8Array> {
    const head = headBytes(this.#kind);
    const bytes = new Uint8Array(head + length * blockBytes(this.#spec, 1));
    writeHead(bytes, this.#kind, length);
    if (block !== undefined) {
      const { tokens, reals } = contentOf(bytes, head, length);
      tokens.set(this.tokens(block).subarray(0, length));
      for await (const { inBlock, at } of this.#inTurns(block, length)) reals.set(inBlock, at);
    }
    return bytes;
  }

  lengthOf(bytes: Uint8Array): number {
    const length = readLength(bytes, this.#kind, (rows) => blockBytes(this.#spec, rows));
    if (length <= this.rows) return length;
    throw new ContextOverflowError(length, this.rows, "Make a pool of longer sequences.");
  }

  async import([block]: readonly number[], bytes: Uint8Array): Promise<void> {
    if (block === undefined) return; // a sequence of no positions
    const length = this.lengthOf(bytes);
    const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
    const { tokens, reals } = contentOf(aligned, headBytes(this.#kind), length);
    this.tokens(block).set(tokens);
    for await (const { inBlock, at } of this.#inTurns(block, length)) {
      inBlock.set(reals.subarray(at, at + inBlock.length));
    }
  }

  free(): void {
    for (const { tensors } of this.#blocks) for (const tensor of tensors.flat()) this.#ort.releaseValue(tensor);
  }

  /** The pieces of a block, with turns of the event loop between them. */
  async *#inTurns(block: number, length: number): AsyncGenerator<Piece, void, undefined> {
    let copied = 0;
    for (const piece of this.#pieces(block, length)) {
      yield piece;
      copied += piece.inBlock.byteLength;
      if (copied < copyPerTurn) continue;
      copied = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** The first `length` rows of every head, as far as they lie together: attentions, keys and values, heads, rows. */
  *#pieces(block: number, length: number): Generator<Piece, void, undefined> {
    let at = 0;
    for (const [attention, { kvHeads, headDim }] of this.#spec.entries()) {
      const width = paddedHead(headDim);
      for (const tensor of this.tensors(block, attention)) {
        const bytes = kvHeads * this.rows * width * 4;
        const data = new Float32Array(this.#ort.koffi.view(this.#ort.tensorData(tensor), bytes));
        for (let head = 0; head < kvHeads; head++) {
          for (let row = 0; row < length; row += rowsAtOnce) {
            const start = (head * this.rows + row) * width;
            const inBlock = data.subarray(start, start + Math.min(rowsAtOnce, length - row) * width);
            yield { inBlock, at };
            at += inBlock.length;
          }
        }
      }
    }
  }
}

/** What follows the head of an exported sequence: its tokens [length], then all its pieces. */
function contentOf(
  { buffer, byteOffset }: Uint8Array,
  head: number,
  length: number,
): { readonly tokens: Int32Array; readonly reals: Float32Array } {
  const tokens = new Int32Array(buffer, byteOffset + head, length);
  return { tokens, reals: new Float32Array(buffer, tokens.byteOffset + tokens.byteLength) };
}
