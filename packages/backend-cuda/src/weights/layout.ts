// How weights lie on the card: a block's fields are put into planes (kernels/repack.cu), all quants of a matrix first, then all high bits,
// and so on, so that quants are read 16 bytes at a time. Linears that read the same value in the same format are one matrix, rows below
// rows, so that one launch serves q, k and v. No value changes.

import { columnCount, type FormatName, type Graph, rowCount, type WeightInfo, type WeightName } from "@polyllama/core";
import { formats } from "@polyllama/formats";

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

/** What must be finite in a block's field `d`, or in a row of floats. Of q8_k the quants matter too, and the host looks. */
export function numbersOf(format: FormatName, columns: number): Numbers {
  if (format === "f32") return { count: columns, bytes: 4, exponent: 0x7f80 };
  if (format === "bf16") return { count: columns, bytes: 2, exponent: 0x7f80 };
  if (format === "f16") return { count: columns, bytes: 2, exponent: 0x7c00 };
  return { count: format === "q8_k" ? 0 : twoFactors.has(format) ? 2 : 1, bytes: 2, exponent: 0x7c00 };
}

/** Formats whose blocks have a scale and an offset. */
const twoFactors: ReadonlySet<FormatName> = new Set(["q4_1", "q5_1", "q2_k", "q4_k", "q5_k"]);

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

/** Where a weight's rows are. */
export interface MatrixPlace {
  readonly matrix: Matrix;
  readonly row: number;
}

export interface WeightLayout {
  readonly matrices: readonly Matrix[];
  readonly places: ReadonlyMap<WeightName, MatrixPlace>;
  /** Weights of norms, as f32. */
  readonly vectors: ReadonlyMap<WeightName, number>;
  readonly bytes: number;
}

export function planWeights(graph: Graph, infos: ReadonlyMap<WeightName, WeightInfo>): WeightLayout {
  const vectors = new Map<WeightName, number>();
  const places = new Map<WeightName, MatrixPlace>();
  const matrices: Matrix[] = [];
  const add = (names: readonly WeightName[]): void => {
    const members = names.map((name) => infos.get(name)!);
    const [{ format }, columns] = [members[0]!, columnCount(members[0]!)];
    const rows = members.reduce((sum, info) => sum + rowCount(info), 0);
    const matrix = layOut(format, rows, columns);
    matrices.push(matrix);
    let row = 0;
    for (const info of members) {
      places.set(info.name, { matrix, row });
      row += rowCount(info);
    }
  };
  const uses = new Map<WeightName, number>();
  for (const node of graph.nodes) {
    const name = node.op === "linear" ? node.weight : node.op === "embedding" ? node.table : undefined;
    if (name !== undefined) uses.set(name, (uses.get(name) ?? 0) + 1);
  }
  for (const node of graph.nodes) {
    if (node.op === "rmsNorm") vectors.set(node.weight, columnCount(infos.get(node.weight)!));
    else if (node.op === "embedding" && !places.has(node.table)) add([node.table]);
    else if (node.op === "linear" && !places.has(node.weight)) {
      const info = infos.get(node.weight)!;
      const beside = graph.nodes.filter(
        (other) =>
          other.op === "linear" &&
          other.x === node.x &&
          uses.get(other.weight) === 1 &&
          infos.get(other.weight)!.format === info.format &&
          rowCount(infos.get(other.weight)!) % 4 === 0, // so that each part of the output starts at a whole vector
      );
      const names = beside.map((other) => (other.op === "linear" ? other.weight : ""));
      add(names.includes(node.weight) ? names : [node.weight]);
    }
  }
  const bytes =
    matrices.reduce((sum, matrix) => sum + matrix.bytes, 0) +
    [...vectors.values()].reduce((sum, width) => sum + 4 * width, 0);
  return { matrices, places, vectors, bytes };
}

function layOut(format: FormatName, rows: number, columns: number): Matrix {
  const { blockSize, blockBytes } = formats[format];
  const planes: PlaneLayout[] = [];
  let start = 0;
  const add = (plane: Plane, count: number, offset: number, size: number, pitch: number): void => {
    planes.push({ plane, start, offset, size, pitch });
    start = Math.ceil((start + count * pitch) / 256) * 256;
  };
  if (blockSize === 1) {
    const pitch = Math.ceil(columns / 8) * 8;
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
