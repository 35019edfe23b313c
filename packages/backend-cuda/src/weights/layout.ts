// How weights lie on the card: a block's fields are put into planes (kernels/repack.cu), all quants of a matrix first,
// then all high bits, and so on, so that quants are read 16 bytes at a time. No value changes. Which weights are one
// matrix, rows below rows, the planner says.

import { columnCount, type FormatName, type Graph, type WeightInfo, type WeightName } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { groupWeights, type StoredWeights, type WeightGroup, type WeightPreferences } from "@polyllama/planner";

export type Plane = "q" | "h" | "s" | "d";

/** Where a block has each plane's field: offset and bytes. Floats have rows instead of blocks. */
const fields: Readonly<Record<FormatName, Readonly<Partial<Record<Plane, readonly [number, number]>>>>> = {
  f32: {},
  f16: {},
  bf16: {},
  q8_0: { q: [2, 32], d: [0, 2] },
  q4_0: { q: [2, 16], d: [0, 2] },
  iq4_nl: { q: [2, 16], d: [0, 2] },
  q4_1: { q: [4, 16], d: [0, 4] },
  q5_0: { q: [6, 16], h: [2, 4], d: [0, 2] },
  q5_1: { q: [8, 16], h: [4, 4], d: [0, 4] },
  q2_k: { q: [16, 64], s: [0, 16], d: [80, 4] },
  q3_k: { q: [32, 64], h: [0, 32], s: [96, 12], d: [108, 2] },
  q4_k: { q: [16, 128], d: [0, 16] },
  q5_k: { q: [48, 128], h: [16, 32], d: [0, 16] },
  q6_k: { q: [0, 128], h: [128, 64], s: [192, 16], d: [208, 2] },
  q8_k: { q: [4, 256], d: [0, 4] },
};

/** Numbers at the beginning of a field, and the bits of their exponents in the last two bytes of each. */
export interface Numbers {
  readonly count: number;
  readonly bytes: 2 | 4;
  readonly exponent: number;
}

/**
 * What must be finite in a block's field `d`, or in a row of floats. Of q8_k the quants matter too, and the host looks.
 */
export function numbersOf(format: FormatName, columns: number): Numbers {
  if (format === "f32") return { count: columns, bytes: 4, exponent: 0x7f80 };
  if (format === "bf16") return { count: columns, bytes: 2, exponent: 0x7f80 };
  if (format === "f16") return { count: columns, bytes: 2, exponent: 0x7c00 };
  return { count: format === "q8_k" ? 0 : twoFactors.has(format) ? 2 : 1, bytes: 2, exponent: 0x7c00 };
}

/** Formats whose blocks have a scale and an offset. */
const twoFactors: ReadonlySet<FormatName> = new Set(["q4_1", "q5_1", "q2_k", "q4_k", "q5_k"]);

/** Elements that are read together: parts of an output start at whole vectors. */
export const vector = 4;

/** Words from row to row of a matrix in f32: zeros lie behind its columns. */
export function floatPitch(columns: number): number {
  return Math.ceil(columns / 8) * 8;
}

/** A group of weights on the card. */
export interface Matrix {
  readonly format: FormatName;
  readonly rows: number;
  readonly columns: number;
  /** Blocks of a row; of floats the values, filled up to whole vectors. */
  readonly pitch: number;
  readonly planes: readonly PlaneLayout[];
  readonly bytes: number;
}

interface PlaneLayout {
  readonly plane: Plane;
  /** Where it begins in the matrix's memory. */
  readonly start: number;
  /** The field in a block as stored, and the bytes that it takes in the plane. */
  readonly offset: number;
  readonly size: number;
  readonly pitch: number;
}

/** Everything that graphs need of weights, and how it lies on the card. */
export interface WeightLayout extends StoredWeights {
  readonly matrices: ReadonlyMap<WeightGroup, Matrix>;
  /** Weights that linears multiply with, the others being tables alone. */
  readonly multiplied: ReadonlySet<WeightGroup>;
  readonly bytes: number;
}

/** Each member of a matrix starts at a whole vector of its output. */
export const weightPreferences: WeightPreferences = { rowMultiple: vector, alternates: false };

/** One layout for all graphs that will use the weights. */
export function planWeights(graphs: readonly Graph[], infos: ReadonlyMap<WeightName, WeightInfo>): WeightLayout {
  const stored = groupWeights(graphs, infos, weightPreferences);
  const matrices = new Map(stored.groups.map((group) => [group, layOut(group)]));
  const multiplied = new Set<WeightGroup>();
  for (const node of graphs.flatMap(({ nodes }) => nodes)) {
    if (node.op === "linear") multiplied.add(stored.places.get(node.weight)!.group); // groupWeights places all
  }
  let bytes = 0;
  for (const matrix of matrices.values()) bytes += matrix.bytes;
  for (const info of stored.vectors) bytes += 4 * columnCount(info);
  return { ...stored, matrices, multiplied, bytes };
}

function layOut({ format, rows, columns }: WeightGroup): Matrix {
  const { blockSize, blockBytes } = formats[format];
  const planes: PlaneLayout[] = [];
  let start = 0;
  const add = (plane: Plane, count: number, offset: number, size: number, pitch: number): void => {
    planes.push({ plane, start, offset, size, pitch });
    start = Math.ceil((start + count * pitch) / 256) * 256;
  };
  if (blockSize === 1) {
    const pitch = floatPitch(columns);
    add("q", rows, 0, columns * blockBytes, pitch * blockBytes);
    return { format, rows, columns, pitch, planes, bytes: start };
  }
  const pitch = columns / blockSize;
  for (const plane of ["q", "h", "s", "d"] as const) {
    const field = fields[format][plane];
    if (field !== undefined) add(plane, rows * pitch, field[0], field[1], field[1]);
  }
  return { format, rows, columns, pitch, planes, bytes: start };
}
