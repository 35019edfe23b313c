// The uniform that a chunk has for all of its dispatches: how many rows there are, and where each sequence's rows belong.

import { struct, u32, wgslStruct } from "@polyllama/planner";

/** Sequences of a chunk, at most; kernels have an array of as many. */
export const maxSegments = 64;

const header = struct({
  rows: u32,
  selected: u32, // of these rows
  zero: u32, // always 0, which compilers cannot know
  spare: u32,
});

/** Rows of a chunk that belong to one sequence. */
export interface StepSegment {
  readonly first: number;
  readonly rows: number;
  /** Position in the cache of the first. */
  readonly start: number;
  /** Positions of the cache. */
  readonly capacity: number;
}

const segment = struct({ first: u32, rows: u32, start: u32, capacity: u32 });

/** Bytes of the uniform. */
export const stepBytes: number = header.size + maxSegments * segment.size;

/** What all kernels declare. */
export const stepDeclarations: string = [
  wgslStruct("Segment", segment),
  wgslStruct("Step", header, [`segments: array<Segment, ${maxSegments}>`]),
  "@group(0) @binding(1) var<uniform> step: Step;\n",
].join("");

/** The uniform of a chunk with these sequences. */
export function encodeStep(
  rows: { readonly rows: number; readonly selected: number },
  segments: readonly StepSegment[],
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(stepBytes);
  bytes.set(new Uint8Array(header.encode({ ...rows, zero: 0, spare: 0 })));
  for (const [i, values] of segments.entries())
    bytes.set(new Uint8Array(segment.encode(values)), header.size + i * segment.size);
  return bytes;
}
