// Keys and values of one sequence: for every attention two f32 buffers [1, G, capacity, padded d] in memory that ONNX
// Runtime allocates, so the system only commits the pages that are written. Attention appends in place; rewinding lowers
// the length, and what lies beyond it is never read. Disposing frees the memory at once.

import { type AttentionNode, PolyllamaError, SequenceCache } from "@polyllama/core";
import { paddedHead } from "./emit/attention.ts";
import type { Handle, Ort } from "./ort/api.ts";

/** What a cache needs of its program. */
export interface CacheOwner {
  readonly ort: Ort;
  readonly attentions: readonly AttentionNode[];
  /** Caches alive; the program disposes them with itself. */
  readonly caches: Set<OnnxRuntimeKvCache>;
}

/** Bytes that the keys or the values of one attention take per position. */
function rowBytes({ kvHeads, headDim }: AttentionNode): number {
  return kvHeads * paddedHead(headDim) * 4;
}

/** Bytes of a full cache. */
export function cacheBytes(attentions: readonly AttentionNode[], capacity: number): number {
  let bytes = 0;
  for (const attention of attentions) bytes += 2 * capacity * rowBytes(attention);
  return bytes;
}

/** Bytes copied between two turns of the event loop. */
const copyPerTurn = 8 << 20;
/** Rows of a head, after each of which it is looked how much was copied. */
const rowsAtOnce = 1024;

export class OnnxRuntimeKvCache extends SequenceCache {
  readonly bytes: number;
  readonly owner: CacheOwner;
  /** Per attention: keys, values. */
  readonly #tensors: readonly (readonly [Handle, Handle])[];

  constructor(owner: CacheOwner, capacity: number) {
    super(capacity);
    this.owner = owner;
    this.bytes = cacheBytes(owner.attentions, capacity);
    const allocated: Handle[] = [];
    try {
      this.#tensors = owner.attentions.map(({ kvHeads, headDim }) => {
        const shape = [1, kvHeads, capacity, paddedHead(headDim)];
        const pair = [owner.ort.allocateTensor(shape, "f32"), owner.ort.allocateTensor(shape, "f32")] as const;
        allocated.push(...pair);
        return pair;
      });
    } catch (cause) {
      for (const tensor of allocated) owner.ort.releaseValue(tensor);
      throw new PolyllamaError(
        "ERR_BACKEND",
        `A cache of ${capacity} positions takes ${this.bytes} bytes, which the system does not give. Use less capacity.`,
        { cause },
      );
    }
    owner.caches.add(this);
  }

  /** Keys and values of an attention. */
  tensors(attention: number): readonly [Handle, Handle] {
    return this.#tensors[attention]!;
  }

  protected override empty(): OnnxRuntimeKvCache {
    return new OnnxRuntimeKvCache(this.owner, this.capacity);
  }

  /** Copies the rows in use, in slices. */
  protected override async copyTo(copy: OnnxRuntimeKvCache): Promise<void> {
    const { ort, attentions } = this.owner;
    let copied = 0;
    for (const [index, { kvHeads, headDim }] of attentions.entries()) {
      const width = paddedHead(headDim);
      for (const part of [0, 1] as const) {
        const bytes = kvHeads * this.capacity * width * 4;
        const from = new Float32Array(ort.koffi.view(ort.tensorData(this.#tensors[index]![part]), bytes));
        const to = new Float32Array(ort.koffi.view(ort.tensorData(copy.#tensors[index]![part]), bytes));
        for (let head = 0; head < kvHeads; head++) {
          for (let row = 0; row < this.length; row += rowsAtOnce) {
            const start = (head * this.capacity + row) * width;
            const end = start + Math.min(rowsAtOnce, this.length - row) * width;
            to.set(from.subarray(start, end), start);
            copied += (end - start) * 4;
            if (copied >= copyPerTurn) {
              copied = 0;
              await new Promise((resolve) => setImmediate(resolve));
            }
          }
        }
      }
    }
  }

  protected override free(): void {
    for (const pair of this.#tensors) for (const tensor of pair) this.owner.ort.releaseValue(tensor);
    this.owner.caches.delete(this);
  }
}
