// The uniform that a chunk has for all of its dispatches: how many rows there are, and where each sequence's rows
// belong.

import { struct, u32, wgslStruct } from "@polyllama/planner";

/** Sequences of a chunk, at most; kernels have an array of as many. */
export const maxSegments = 64;

const header = struct({
  rows: u32,
  selected: u32, // of these rows
  zero: u32, // always 0, which compilers cannot know
  draws: u32, // tokens that are chosen
});

const segment = struct({
  first: u32, // its first row in the chunk
  rows: u32,
  start: u32, // place of the first among the sequence's keys and values
  table: u32, // where its blocks' numbers begin in the tables
  partials: u32, // splits of the sequences before it
  pool: u32, // number of the pool that has its blocks
  spare_0: u32, // elements of an array in a uniform take multiples of 16 bytes
  spare_1: u32,
});

/** Rows of a chunk that belong to one sequence, by the fields of the kernels' struct. */
export interface StepSegment {
  readonly first: number;
  readonly rows: number;
  readonly start: number;
  readonly table: number;
  readonly partials: number;
  readonly pool: number;
}

/** Bytes of the uniform. */
export const stepBytes: number = header.size + maxSegments * segment.size;

/** What all kernels declare. */
export const stepDeclarations: string = [
  wgslStruct("Segment", segment),
  wgslStruct("Step", header, [`segments: array<Segment, ${maxSegments}>`]),
  "@group(0) @binding(1) var<uniform> step: Step;\n",
].join("");

/** The uniform of a chunk with these sequences; what lies behind them in it no kernel reads. */
export function encodeStep(
  counts: { readonly rows: number; readonly selected: number; readonly draws: number },
  segments: readonly StepSegment[],
): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(header.size + segments.length * segment.size));
  header.write(view, 0, { ...counts, zero: 0 });
  for (const [i, values] of segments.entries()) {
    segment.write(view, header.size + i * segment.size, { ...values, spare_0: 0, spare_1: 0 });
  }
  return view.buffer;
}
