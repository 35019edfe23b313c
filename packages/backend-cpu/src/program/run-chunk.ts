// Runs a chunk: what the library is told of it is written, the library called, and what outputs want copied.

import type { ValueName } from "@polyllama/core";
import type { Place, Plan } from "@polyllama/planner";
import { type Emitting, refOf } from "../emit/emitting.ts";
import { emit } from "../emit/index.ts";
import type { Machine } from "../machine.ts";
import { type EncodedStep, encodeRun, encodeSteps } from "../native/encode.ts";
import type { Arena } from "../native/engine.ts";
import { stepBytes } from "../native/structs.ts";
import type { LoadedWeights } from "../weights/loaded.ts";
import type { ChunkJob } from "./chunk-job.ts";
import { describe, type Layout, layOut, type PlacedDraw, writeRows } from "./describe.ts";
import { drawBytes, type TokenDraw, takeToken } from "./draws.ts";
import { GrowingMemory } from "./growing.ts";
import { partialWords } from "./partials.ts";

/** Encoded steps that are kept, by plan and numbers of rows. */
const keptSteps = 64;

/** Rows of the step as rows of the chunk's buffers, of those that have all rows and those that have selected ones. */
type Indices = Readonly<Record<"all" | "selected", ReadonlyMap<number, number>>>;

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

  /**
   * @param first Steps before those of the plan.
   * @throws {MemoryError}; the signal's reason; `PolyllamaError` `ERR_BACKEND` for logits that are NaN
   */
  async run(job: ChunkJob, first: readonly EncodedStep[], signal: AbortSignal): Promise<void> {
    const { prepared, rows, wanted, chunk } = job;
    const { plan } = prepared;
    const numbers = new Map(rows.map(({ row }, i) => [row, i]));
    const draws = job.draws.filter(({ row }) => numbers.has(row));
    const selected = selectedRows(plan, wanted, draws, numbers);
    const { offsets, size } = prepared.arena(rows.length, selected.length);
    const arena = this.#activations.ensure(4 * size);
    const counts = { rows: rows.length, selected: selected.length };
    const e = { plan, weights: this.#weights, ...counts, activations: arena.ref, offsets };
    const steps = this.#encoded(JSON.stringify([prepared.key, counts]), () => emit(plan.steps, e));
    const layout = layOut(job, selected.length, draws.length);
    const told = this.#told.ensure(layout.steps + stepBytes * (first.length + draws.length) + steps.length);
    const partials = this.#partials.ensure(4 * partialWords(plan, sequencesOf(job)));
    const indices = { all: numbers, selected: new Map(selected.map((row, i) => [row, i])) };
    const placed = placeDraws(plan, draws, indices);
    const drawing = drawSteps(placed, layout, told, e);
    const selection = selected.map((row) => numbers.get(row)!); // they are rows of the chunk
    describe(job, layout, selection, placed, told);
    const view = told.view();
    encodeSteps(view, layout.steps, first);
    told.bytesAt(layout.steps + stepBytes * first.length, steps.length).set(steps);
    encodeSteps(view, layout.steps + stepBytes * first.length + steps.length, drawing);
    encodeRun(view, 0, {
      steps: told.ref + BigInt(layout.steps),
      rows: told.ref + BigInt(layout.rows),
      sequences: told.ref + BigInt(layout.sequences),
      rotations: told.ref + BigInt(layout.rotations),
      selection: told.ref + BigInt(layout.selection),
      partials: partials.ref,
      stepCount: first.length + steps.length / stepBytes + drawing.length,
      rowCount: rows.length,
      sequenceCount: chunk.segments.length,
      rotationStride: plan.rotationStride,
    });
    for (const [value, place] of plan.inputs) {
      const at = Number(refOf(place, e) - arena.ref);
      const { stride } = place.buffer;
      writeRows(job, value, place.width, arena.floatsAt(at, stride * rows.length), stride);
    }
    await this.#machine.run(told.ref, signal);
    const chosen = told.wordsAt(layout.chosen, placed.length);
    for (const [i, { draw }] of placed.entries()) takeToken(draw, chosen[i]!); // one for each
    collect(job, indices, offsets, arena);
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

  [Symbol.dispose](): void {
    for (const memory of [this.#activations, this.#told, this.#partials]) memory[Symbol.dispose]();
  }
}

function encode(steps: readonly EncodedStep[]): Uint8Array {
  const bytes = new Uint8Array(stepBytes * steps.length);
  encodeSteps(new DataView(bytes.buffer), 0, steps);
  return bytes;
}

/** Rows of each sequence of a chunk, and the keys that the last of them sees. */
function sequencesOf({ chunk, blocks }: ChunkJob): readonly { readonly rows: number; readonly keys: number }[] {
  return chunk.segments.map(({ from, rows }, i) => ({ rows, keys: (blocks[i]?.start ?? 0) + from + rows }));
}

/** Rows of the step in this chunk whose values are computed for selected rows. */
function selectedRows(
  { outputs }: Plan,
  wanted: ChunkJob["wanted"],
  draws: readonly TokenDraw[],
  numbers: ReadonlyMap<number, number>,
): readonly number[] {
  const isSelected = (value: ValueName): boolean => outputs.get(value)?.buffer.rows === "selected";
  const rows = new Set(draws.filter(({ value }) => isSelected(value)).map(({ row }) => row));
  for (const [value, target] of wanted) {
    if (!isSelected(value)) continue;
    for (const row of withinChunk(target, numbers).rows) if (numbers.has(row)) rows.add(row);
  }
  return [...rows].sort((a, b) => a - b);
}

type Wanted = ChunkJob["wanted"] extends ReadonlyMap<ValueName, infer Rows> ? Rows : never;

/** Of what is wanted the rows between the first and the last of a chunk, some of which may be another chunk's. */
function withinChunk(target: Wanted, numbers: ReadonlyMap<number, number>): ReturnType<Wanted["within"]> {
  const rows = [...numbers.keys()]; // at most those of a chunk
  const [first, last] = [Math.min(...rows), Math.max(...rows)];
  return target.within(first, last - first + 1);
}

interface PlacedTokenDraw extends PlacedDraw {
  readonly place: Place;
}

/** Draws that have logits, with the rows of these. */
function placeDraws({ outputs }: Plan, draws: readonly TokenDraw[], indices: Indices): readonly PlacedTokenDraw[] {
  return draws.map((draw) => {
    const place = outputs.get(draw.value)!; // it was asked for
    return { draw, place, row: indices[place.buffer.rows].get(draw.row)! }; // a row of this chunk, and so selected
  });
}

/** A step for the draws of each value, which follow each other. */
function drawSteps(
  draws: readonly PlacedTokenDraw[],
  layout: Layout,
  { ref }: Arena,
  e: Emitting,
): readonly EncodedStep[] {
  const steps: EncodedStep[] = [];
  for (let first = 0; first < draws.length; ) {
    const { place } = draws[first]!; // below their number
    const end = draws.findIndex((draw, i) => i > first && draw.place !== place);
    const rows = (end < 0 ? draws.length : end) - first;
    const at = (offset: number): bigint => ref + BigInt(offset);
    const tables = {
      powers: at(layout.powers),
      draws: at(layout.draws + drawBytes * first),
      chosen: at(layout.chosen + 4 * first),
    };
    steps.push(["sample", { rows, x: refOf(place, e), xStride: place.buffer.stride, width: place.width, ...tables }]);
    first += rows;
  }
  return steps;
}

/** Copies the rows that outputs want. */
function collect({ prepared, wanted }: ChunkJob, indices: Indices, offsets: readonly number[], arena: Arena): void {
  for (const [value, target] of wanted) {
    const place = prepared.plan.outputs.get(value);
    if (place === undefined) continue;
    const { buffer, offset, width } = place;
    const { rows, data } = withinChunk(target, indices.all);
    for (const [i, row] of rows.entries()) {
      const index = indices[buffer.rows].get(row);
      if (index === undefined) continue; // of another chunk
      const start = 4 * (offsets[buffer.id]! + offset + buffer.stride * index); // each buffer has an offset
      data.set(arena.floatsAt(start, width), i * width);
    }
  }
}
