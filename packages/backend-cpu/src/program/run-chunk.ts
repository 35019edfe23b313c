// Runs a chunk: what the library is told of it is written, the library called, and the rows that outputs want copied.

import type { ValueName } from "@polyllama/core";
import type { Plan } from "@polyllama/planner";
import { refOf } from "../emit/emitting.ts";
import { emit } from "../emit/index.ts";
import type { Machine } from "../machine.ts";
import {
  type EncodedStep,
  encodeRow,
  encodeRun,
  encodeSequence,
  encodeSteps,
  rowBytes,
  runBytes,
  sequenceBytes,
} from "../native/encode.ts";
import type { Arena } from "../native/engine.ts";
import { stepBytes } from "../native/structs.ts";
import type { LoadedWeights } from "../weights/loaded.ts";
import type { ChunkJob } from "./chunk-job.ts";
import { GrowingMemory } from "./growing.ts";
import { partialWords } from "./partials.ts";

/** Encoded steps that are kept, by plan and numbers of rows. */
const keptSteps = 64;

/** Offsets of what stands before the steps. */
interface StepLayout {
  readonly rows: number;
  readonly sequences: number;
  readonly rotations: number;
  readonly selection: number;
  readonly tables: number;
  readonly steps: number;
}

/** Runs chunks of a program, one after another. */
export class ChunkRunner implements Disposable {
  readonly #machine: Machine;
  readonly #weights: LoadedWeights;
  readonly #activations: GrowingMemory;
  /** What the library is told. */
  readonly #told: GrowingMemory;
  readonly #partials: GrowingMemory;
  /** Least recently used first. */
  readonly #steps = new Map<string, Uint8Array>();
  #moves = 0;

  constructor(machine: Machine, weights: LoadedWeights) {
    this.#machine = machine;
    this.#weights = weights;
    this.#activations = new GrowingMemory(machine, "values of a step");
    this.#told = new GrowingMemory(machine, "the description of a step");
    this.#partials = new GrowingMemory(machine, "attention over long sequences");
  }

  /** @param first Steps before those of the plan. @throws {MemoryError}; the signal's reason */
  async run(job: ChunkJob, first: readonly EncodedStep[], signal: AbortSignal): Promise<void> {
    const { prepared, rows, wanted, chunk } = job;
    const { plan } = prepared;
    const numbers = new Map(rows.map(({ row }, i) => [row, i]));
    const selected = selectedRows(plan, wanted, numbers);
    const { offsets, size } = prepared.arena(rows.length, selected.length);
    const arena = this.#activations.ensure(4 * size);
    const e = {
      plan,
      weights: this.#weights,
      rows: rows.length,
      selected: selected.length,
      activations: arena.ref,
      offsets,
    };
    const key = JSON.stringify([prepared.key, rows.length, selected.length]);
    const steps = this.#encoded(key, () => emit(plan.steps, e));
    const layout = layOut(job, selected.length);
    const told = this.#told.ensure(layout.steps + stepBytes * first.length + steps.length);
    describe(
      job,
      layout,
      selected.map((row) => numbers.get(row)!),
      told,
    ); // they are rows of the chunk
    const sequences = chunk.segments.map(({ from, rows: count }, i) => {
      const start = job.blocks[i]?.start ?? 0;
      return { rows: count, keys: start + from + count };
    });
    const partials = this.#partials.ensure(4 * partialWords(plan, sequences));
    const view = told.view();
    encodeSteps(view, layout.steps, first);
    told.bytesAt(layout.steps + stepBytes * first.length, steps.length).set(steps);
    encodeRun(view, 0, {
      steps: told.ref + BigInt(layout.steps),
      rows: told.ref + BigInt(layout.rows),
      sequences: told.ref + BigInt(layout.sequences),
      rotations: told.ref + BigInt(layout.rotations),
      selection: told.ref + BigInt(layout.selection),
      partials: partials.ref,
      stepCount: first.length + steps.length / stepBytes,
      rowCount: rows.length,
      sequenceCount: chunk.segments.length,
      rotationStride: plan.rotationStride,
    });
    for (const [value, place] of plan.inputs) {
      const { stride } = place.buffer;
      const at = Number(refOf(place, e) - arena.ref);
      writeRows(job, value, place.width, arena.floatsAt(at, stride * rows.length), stride);
    }
    await this.#machine.run(told.ref, signal);
    this.#collect(job, numbers, selected, offsets, arena);
  }

  #encoded(key: string, make: () => readonly EncodedStep[]): Uint8Array {
    const { moves } = this.#activations;
    if (moves !== this.#moves) this.#steps.clear(); // they refer to memory that has moved
    this.#moves = moves;
    const known = this.#steps.get(key);
    const steps = known ?? encode(make());
    this.#steps.delete(key);
    this.#steps.set(key, steps);
    const [oldest] = this.#steps.keys();
    if (this.#steps.size > keptSteps && oldest !== undefined) this.#steps.delete(oldest);
    return steps;
  }

  /** Copies the rows that outputs want. */
  #collect(
    { prepared, wanted, rows }: ChunkJob,
    numbers: ReadonlyMap<number, number>,
    selected: readonly number[],
    offsets: readonly number[],
    arena: Arena,
  ): void {
    const places = new Map(selected.map((row, i) => [row, i]));
    const [first, last] = [Math.min(...numbers.keys()), Math.max(...numbers.keys())];
    for (const [value, target] of wanted) {
      const place = prepared.plan.outputs.get(value);
      if (place === undefined || rows.length === 0) continue;
      const { buffer, offset, width } = place;
      const indices = buffer.rows === "all" ? numbers : places;
      const { rows: within, data } = target.within(first, last - first + 1);
      for (const [i, row] of within.entries()) {
        const index = indices.get(row);
        if (index === undefined) continue; // of another chunk
        const start = 4 * (offsets[buffer.id]! + offset + buffer.stride * index); // each buffer has an offset
        data.set(arena.floatsAt(start, width), i * width);
      }
    }
  }

  [Symbol.dispose](): void {
    this.#activations[Symbol.dispose]();
    this.#told[Symbol.dispose]();
    this.#partials[Symbol.dispose]();
  }
}

function encode(steps: readonly EncodedStep[]): Uint8Array {
  const bytes = new Uint8Array(stepBytes * steps.length);
  encodeSteps(new DataView(bytes.buffer), 0, steps);
  return bytes;
}

/** Rows of the step in this chunk whose values are computed for selected rows. */
function selectedRows(
  { outputs }: Plan,
  wanted: ChunkJob["wanted"],
  numbers: ReadonlyMap<number, number>,
): readonly number[] {
  const rows = new Set<number>();
  const [first, last] = [Math.min(...numbers.keys()), Math.max(...numbers.keys())];
  for (const [value, target] of wanted) {
    if (outputs.get(value)?.buffer.rows !== "selected") continue;
    for (const row of target.within(first, last - first + 1).rows) if (numbers.has(row)) rows.add(row);
  }
  return [...rows].sort((a, b) => a - b);
}

function layOut({ rows, blocks, prepared }: ChunkJob, selected: number): StepLayout {
  let end = 0;
  const place = (bytes: number): number => {
    const start = end;
    end = Math.ceil((start + bytes) / 64) * 64;
    return start;
  };
  place(runBytes);
  return {
    rows: place(rowBytes * rows.length),
    sequences: place(sequenceBytes * blocks.length),
    rotations: place(8 * prepared.plan.rotationStride * rows.length),
    selection: place(4 * selected),
    tables: place(4 * blocks.reduce((sum, own) => sum + (own?.table.length ?? 0), 0)),
    steps: end,
  };
}

/** Writes rows, sequences with their tables of blocks, rotations and the selection. */
function describe(
  { rows, chunk, blocks, prepared, inputs }: ChunkJob,
  layout: StepLayout,
  selection: readonly number[],
  told: Arena,
): void {
  const view = told.view();
  const tokens = prepared.plan.tokens === undefined ? undefined : inputs[prepared.plan.tokens];
  for (const [n, { row, segment, position }] of rows.entries()) {
    encodeRow(view, layout.rows + rowBytes * n, tokens?.[row] ?? 0, segment, position);
  }
  let table = layout.tables;
  for (const [i, { first, rows: count }] of chunk.segments.entries()) {
    const own = blocks[i] ?? { pool: 0n, table: new Uint32Array(), blockBytes: 0, format: 0 };
    encodeSequence(view, layout.sequences + sequenceBytes * i, {
      pool: own.pool,
      table: told.ref + BigInt(table),
      blockBytes: BigInt(own.blockBytes),
      first,
      rows: count,
      format: own.format,
    });
    told.wordsAt(table, own.table.length).set(own.table);
    table += 4 * own.table.length;
  }
  const pairs = 2 * prepared.plan.rotationStride * rows.length;
  prepared.rotations.write(
    rows.map(({ angle }) => angle),
    told.floatsAt(layout.rotations, pairs),
  );
  told.wordsAt(layout.selection, selection.length).set(selection);
}

/** Rows of an input of the graph: `stride` words for each. */
function writeRows(
  { inputs, rows }: ChunkJob,
  value: ValueName,
  width: number,
  target: Float32Array,
  stride: number,
): void {
  const values = inputs[value]!; // the frame saw that it is there
  if (width < stride) target.fill(0);
  for (const [n, { row }] of rows.entries()) target.set(values.subarray(row * width, (row + 1) * width), n * stride);
}
