// One run of a session: some rows of a sequence. What a session computes for given bindings is in lower.ts; here the
// bindings are made: memory for every input and output of the run.

import type { ValueName } from "@polyllama/core";
import type { RowsWithin, WantedRows } from "@polyllama/planner";
import type { Binding } from "./binding.ts";
import type { OnnxRuntimeBlocks } from "./kv-blocks.ts";
import type { Handle, Ort } from "./ort/api.ts";
import type { RotationTable } from "./rotation-tables.ts";
import type { Variant } from "./sessions.ts";

/** Rows of a step that are computed together. */
export interface Chunk {
  /** First row within the step. */
  readonly first: number;
  readonly rows: number;
  /** Positions before it in the cache. */
  readonly length: number;
}

/** What a chunk is computed from, beside the session. */
export interface ChunkParts {
  readonly ort: Ort;
  /** [rows, width] by value */
  readonly host: ReadonlyMap<ValueName, Float32Array>;
  /** By name of the model's input. */
  readonly tables: ReadonlyMap<string, RotationTable>;
  /** Keys and values of the sequence, where there are attentions. */
  readonly cache: { readonly blocks: OnnxRuntimeBlocks; readonly block: number } | undefined;
}

/** Computes the rows of a chunk that are wanted, and appends to its cache. */
export async function runChunk(
  { lowering, session }: Variant,
  chunk: Chunk,
  parts: ChunkParts,
  wanted: ReadonlyMap<ValueName, WantedRows>,
  signal: AbortSignal,
): Promise<void> {
  const { ort, host } = parts;
  const { first, rows } = chunk;
  const within = new Map([...wanted].map(([value, target]) => [value, target.within(first, rows)]));
  const selected = selectedRows(
    chunk,
    [...within].filter(([value]) => lowering.outputs.get(value)?.selected),
  );
  const made: Handle[] = [];
  const keep: unknown[] = [];
  const over: TensorOver = (data, shape, type) => {
    const tensor = ort.tensorOver(data, data.byteLength, shape, type);
    made.push(tensor);
    keep.push(data);
    return tensor;
  };
  const bindings: Bindings = { chunk, parts, selected, over };

  try {
    const inputs = lowering.inputs.map(({ name, binding }) => bound(name, binding, bindings));
    const outputs = new Map<string, Handle>();
    const copies: (() => void)[] = [];
    for (const [value, target] of within) {
      const output = lowering.outputs.get(value);
      if (output === undefined) {
        copies.push(() => pick(target, host.get(value)!, (n) => n - first));
        continue;
      }
      const count = output.selected ? selected.length : rows;
      const width = wanted.get(value)!.width;
      const direct = target.rows.length === count; // a subset of as many rows is all of them
      const data = direct ? target.data : new Float32Array(count * width);
      outputs.set(output.name, over(data, [1, count, width], "f32"));
      if (!direct) copies.push(() => pick(target, data, (n) => (output.selected ? selected.indexOf(n) : n - first)));
    }
    for (const { name, binding } of lowering.caches) outputs.set(name, bound(name, binding, bindings));
    if (session !== undefined && outputs.size > 0) await session.run(inputs, outputs, keep, signal);
    for (const copy of copies) copy();
  } finally {
    for (const tensor of made) ort.releaseValue(tensor);
  }
}

/**
 * Rows of the step that the model's selection lists: what is wanted of its selected values, or one row, as it must not
 * be empty.
 */
function selectedRows(
  { first, rows }: Chunk,
  within: readonly (readonly [ValueName, RowsWithin])[],
): readonly number[] {
  const [some, ...others] = within.map(([, target]) => target.rows);
  const all = others.length === 0 ? (some ?? []) : [...new Set([some!, ...others].flat())].sort((a, b) => a - b);
  return all.length > 0 ? all : [first + rows - 1];
}

/** Copies the wanted rows out of a matrix. */
function pick({ rows, data }: RowsWithin, from: Float32Array, indexOf: (row: number) => number): void {
  const width = data.length / rows.length;
  for (const [i, row] of rows.entries()) {
    const start = indexOf(row) * width;
    data.set(from.subarray(start, start + width), i * width);
  }
}

type TensorOver = (data: ArrayBufferView, shape: readonly number[], type: "f32" | "i32" | "i64") => Handle;

/** What the tensors of a run are made from. */
interface Bindings {
  readonly chunk: Chunk;
  readonly parts: ChunkParts;
  readonly selected: readonly number[];
  readonly over: TensorOver;
}

/** The tensor for an input of the model, or for the output that shares its memory. */
function bound(name: string, binding: Binding, { chunk, parts, selected, over }: Bindings): Handle {
  const { first, rows, length } = chunk;
  const { host, tables, cache } = parts;
  switch (binding.kind) {
    case "activations":
      return over(host.get(binding.value)!, [1, rows, binding.width], "f32");
    case "selection":
      return over(
        BigInt64Array.from(selected, (row) => BigInt(row - first)),
        [selected.length],
        "i64",
      );
    case "positions":
      return over(
        BigInt64Array.from({ length: rows }, (_, i) => BigInt(length + i)),
        [1, rows],
        "i64",
      );
    case "lastPosition":
      return over(Int32Array.of(length + rows - 1), [1], "i32");
    case "totalLength":
      return over(Int32Array.of(length + rows), [1], "i32");
    case "cos":
    case "sin": {
      const table = tables.get(name)!;
      return over(table[binding.kind], [table.rows, binding.rotation.headDim / 2], "f32");
    }
    case "keys":
      return cache!.blocks.tensors(cache!.block, binding.attention)[0];
    case "values":
      return cache!.blocks.tensors(cache!.block, binding.attention)[1];
  }
}
