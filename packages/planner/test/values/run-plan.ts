// Runs a plan as a backend does, step by step over shared memory, knowing nothing of the graph: what a step reads must
// be there, in the rows that it computes, and what it writes lies over whatever had the memory before.

import type { ValueName } from "@polyllama/core";
import {
  assignOffsets,
  assignSlots,
  forStep,
  type Norm,
  type PerStep,
  type Place,
  type Plan,
  type PlanBuffer,
  type WeightGroup,
} from "@polyllama/planner";
import type { Batch } from "./batch.ts";
import { added, attended, gated, multiplied, normed, type Past, type Row, turned, turns } from "./rows.ts";

export interface Ran {
  /** Outputs in the rows that they have. */
  readonly values: ReadonlyMap<ValueName, readonly Row[]>;
  readonly pasts: readonly (readonly Past[])[];
  /** Attentions whose caches were written. */
  readonly filled: readonly number[];
}

interface Running {
  readonly batch: Batch;
  readonly pasts: readonly (readonly Past[])[];
  readonly filled: number[];
  /** By row: all pairs (cos, sin) of the plan's rotations. */
  readonly table: readonly (readonly Row[])[];
  /** The rows of a buffer's memory. */
  memory(buffer: PlanBuffer): Float64Array;
  rowsOf(buffer: PlanBuffer): number;
}

/** How converted rows differ from others: nobody who does not know can use them. */
const converted = 2;

export function runPlan(plan: Plan, batch: Batch, memory: "slots" | "arena"): Ran {
  const rowsOf = ({ rows }: PlanBuffer): number => (rows === "all" ? batch.places.length : batch.selected.length);
  const r: Running = {
    batch,
    pasts: batch.pasts(),
    filled: [],
    table: batch.places.map(({ position }) => {
      const pairs = new Array<Row>(plan.rotationStride).fill([Number.NaN, Number.NaN]);
      for (const rotation of plan.rotations)
        pairs.splice(rotation.offset, rotation.headDim / 2, ...turns(rotation, position));
      return pairs;
    }),
    memory: memory === "slots" ? slots(plan, rowsOf) : arena(plan, rowsOf),
    rowsOf,
  };
  for (const [value, place] of plan.inputs) write(r, place, batch.inputs.get(value)!);
  for (const step of plan.steps) forStep(runners, step, r);
  const values = [...plan.outputs].map(([value, place]) => [value, read(r, place)] as const);
  return { values: new Map(values), pasts: r.pasts, filled: r.filled };
}

function slots(plan: Plan, rowsOf: (buffer: PlanBuffer) => number): Running["memory"] {
  const { slots, slotOf } = assignSlots(
    plan,
    plan.buffers.map((buffer) => buffer.stride * rowsOf(buffer)),
  );
  const memories = slots.map(({ bytes }) => new Float64Array(bytes).fill(Number.NaN));
  return ({ id }) => memories[slotOf[id]!]!;
}

function arena(plan: Plan, rowsOf: (buffer: PlanBuffer) => number): Running["memory"] {
  const sizes = plan.buffers.map((buffer) => buffer.stride * rowsOf(buffer));
  const { offsets, size } = assignOffsets(plan, sizes);
  const all = new Float64Array(size).fill(Number.NaN);
  return ({ id }) => all.subarray(offsets[id]!, offsets[id]! + sizes[id]!);
}

function read(r: Running, { buffer, offset, width }: Place): readonly Row[] {
  const memory = r.memory(buffer);
  return Array.from({ length: r.rowsOf(buffer) }, (_, n) => {
    return [...memory.subarray(n * buffer.stride + offset, n * buffer.stride + offset + width)];
  });
}

function write(r: Running, { buffer, offset, width }: Place, rows: readonly Row[]): void {
  if (rows.length !== r.rowsOf(buffer)) throw new Error(`${rows.length} rows for a buffer of ${r.rowsOf(buffer)}`);
  for (const [n, row] of rows.entries()) {
    if (row.length !== width) throw new Error(`a row of ${row.length} where there are ${width}`);
    r.memory(buffer).set(row, n * buffer.stride + offset);
  }
}

/** Computes rows while they are written: nothing of what is written to can be read any more. */
function compute(r: Running, y: Place, rows: () => readonly Row[]): void {
  const nothing = new Array<number>(y.width).fill(Number.NaN);
  write(
    r,
    y,
    Array.from({ length: r.rowsOf(y.buffer) }, () => nothing),
  );
  write(r, y, rows());
}

function normOf({ batch }: Running, norm: Norm | undefined): (row: Row) => Row {
  return norm === undefined ? (row) => row : (row) => normed(row, batch.weights.get(norm.weight)![0]!, norm.eps);
}

function matrixOf({ batch }: Running, { members }: WeightGroup): readonly Row[] {
  return members.flatMap(({ name }) => batch.weights.get(name)!);
}

const runners: PerStep<[Running], void> = {
  embedding({ table, y }, r) {
    const [tokens] = [...r.batch.inputs.values()].filter(([row]) => row!.length === 1);
    compute(r, y, () => tokens!.map(([token = 0]) => matrixOf(r, table.group)[table.firstRow + token]!));
  },
  gather({ x, y }, r) {
    compute(r, y, () => r.batch.selected.map((n) => read(r, x)[n]!));
  },
  norm({ x, norm, y }, r) {
    compute(r, y, () => read(r, x).map(normOf(r, norm)));
  },
  convert({ x, norm, up, y }, r) {
    const rows = (): readonly Row[] => {
      const own = read(r, x).map(normOf(r, norm));
      return up === undefined ? own : own.map((gate, n) => gated(gate, read(r, up)[n]!));
    };
    compute(r, y, () => rows().map((row) => row.map((value) => converted * value)));
  },
  linear(step, r) {
    const { x, norm, residual, gated: pair, y } = step;
    const weight = matrixOf(r, step.group).slice(step.firstRow, step.firstRow + step.matrixRows);
    compute(r, y, () => {
      const given = read(r, x).map((row) => (step.converted ? row.map((value) => value / converted) : row));
      const products = given.map((row) => multiplied(normOf(r, norm)(row), weight));
      const gatedRows = products.map((row) => {
        const part = (first: number): Row => row.slice(first, first + y.width);
        return pair === undefined ? row : gated(part(pair.gateRow), part(pair.upRow));
      });
      return residual === undefined ? gatedRows : gatedRows.map((row, n) => added(row, read(r, residual)[n]!));
    });
  },
  rope({ rotation, x, y }, r) {
    compute(r, y, () => read(r, x).map((row, n) => turned(row, pairsOf(r, rotation, n))));
  },
  cache({ attention, k, kRotation, v, q }, r) {
    const keys = read(r, k).map((row, n) => (kRotation === undefined ? row : turned(row, pairsOf(r, kRotation, n))));
    const values = read(r, v);
    for (const [n, { sequence }] of r.batch.places.entries()) {
      r.pasts[attention.index]![sequence]!.k.push(keys[n]!);
      r.pasts[attention.index]![sequence]!.v.push(values[n]!);
    }
    r.filled.push(attention.index);
    if (q !== undefined) compute(r, q.y, () => read(r, q.x).map((row, n) => turned(row, pairsOf(r, q.rotation, n))));
  },
  attention({ attention, q, y }, r) {
    compute(r, y, () =>
      read(r, q).map((row, n) => {
        const { sequence, position } = r.batch.places[n]!;
        return attended(row, r.pasts[attention.index]![sequence]!, position, attention);
      }),
    );
  },
  swiglu({ gate, up, y }, r) {
    compute(r, y, () => read(r, gate).map((row, n) => gated(row, read(r, up)[n]!)));
  },
  add({ a, b, y, normed: also }, r) {
    if (also !== undefined) {
      compute(r, also.y, () => read(r, a).map((row, n) => normOf(r, also.norm)(added(row, read(r, b)[n]!))));
    }
    compute(r, y, () => read(r, a).map((row, n) => added(row, read(r, b)[n]!)));
  },
};

function pairsOf(
  { table }: Running,
  { offset, headDim }: { offset: number; headDim: number },
  n: number,
): readonly Row[] {
  return table[n]!.slice(offset, offset + headDim / 2);
}
