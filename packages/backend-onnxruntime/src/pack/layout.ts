// Plans the packed file: the planner says which matrices are stacked into one, since one large multiplication is faster
// than three and rounds its input once; here is where every array lies. The plan depends on the graphs and the formats
// alone, never on what a step asks for, so every session of every program on the same parameters reads the same file.

import { columnCount, type FormatName, type Graph, rowCount, type WeightInfo, type WeightName } from "@polyllama/core";
import { groupWeights, type StoredWeights, type WeightGroup, type WeightPreferences } from "@polyllama/planner";
import type { ElementType } from "../ort/api.ts";
import { type Activations, floatPacker, type Packer, type PartSpec, packers } from "./index.ts";

/** An array in the packed file. */
export interface PackedArray {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly length: number;
  /** Its content, where it is in no file. */
  readonly bytes?: Uint8Array;
}

/** One matrix, stacked from the rows of its members. */
export interface PackedMatrix {
  readonly format: FormatName;
  readonly packer: Packer;
  readonly columns: number;
  readonly rows: number;
  readonly members: readonly { readonly weight: WeightName; readonly firstRow: number; readonly rows: number }[];
  /** Follows the packer's parts. */
  readonly parts: readonly { readonly spec: PartSpec; readonly array: PackedArray }[];
}

/** What a packed file holds. */
export interface Layout extends StoredWeights {
  /** All matrices, norms included as one row of f32. */
  readonly matrices: readonly PackedMatrix[];
  readonly norms: ReadonlyMap<WeightName, PackedArray>;
  /** The matrix of each group of linears. */
  readonly packed: ReadonlyMap<WeightGroup, PackedMatrix>;
  /** Size of the packed file. */
  readonly bytes: number;
}

/** Arrays start at multiples of a page, as mapping wants it. */
const alignment = 4096;

/** How the planner is asked to store weights: embeddings are looked up in the checkpoint. */
export const weightPreferences: WeightPreferences = { rowMultiple: 1, alternates: false, hostEmbeddings: true };

/** Plans a packed file that serves all the given graphs. */
export function planLayout(
  graphs: readonly Graph[],
  weights: ReadonlyMap<WeightName, WeightInfo>,
  activations: Activations,
): Layout {
  let end = 0;
  const place = (length: number): number => {
    const offset = Math.ceil(end / alignment) * alignment;
    end = offset + length;
    return offset;
  };
  const matrices: PackedMatrix[] = [];
  const stack = (infos: readonly WeightInfo[], packer: Packer): PackedMatrix => {
    const [{ format }, columns] = [infos[0]!, columnCount(infos[0]!)];
    let rows = 0;
    const members = infos.map((info) => {
      const firstRow = rows;
      rows += rowCount(info);
      return { weight: info.name, firstRow, rows: rowCount(info) };
    });
    const names = infos.map(({ name }) => name).join("+");
    const parts = packer.parts(columns).map((spec) => {
      const length = spec.bytesPerRow * rows;
      const array = { name: `${names}:${spec.name}`, type: spec.type, shape: spec.shape(rows), length };
      return { spec, array: { ...array, offset: place(length) } };
    });
    const matrix = { format, packer, columns, rows, members, parts };
    matrices.push(matrix);
    return matrix;
  };

  const stored = groupWeights(graphs, weights, weightPreferences);
  const norms = new Map<WeightName, PackedArray>();
  for (const info of stored.vectors) {
    const { shape, format } = info;
    norms.set(info.name, { ...stack([info], floatPacker(format)).parts[0]!.array, shape });
  }
  const packed = new Map<WeightGroup, PackedMatrix>();
  for (const group of stored.groups) packed.set(group, stack(group.members, packers[activations][group.format]));
  return { ...stored, matrices, norms, packed, bytes: Math.max(end, 1) };
}
