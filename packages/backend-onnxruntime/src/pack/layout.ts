// Plans the packed file: which matrices are stacked into one, and where every array lies. Linears that read the same
// value in the same format become one matrix of all their rows (wq, wk, wv; w1, w3), because one large multiplication is
// faster than three and rounds its input once. The plan depends on the graphs and the formats alone, never on what a step
// asks for, so every session of every program on the same parameters reads the same file.

import {
  columnCount,
  type FormatName,
  type Graph,
  type LinearNode,
  PolyllamaError,
  rowCount,
  type ValueName,
  type WeightInfo,
  type WeightName,
} from "@polyllama/core";
import { groupWeights, type WeightPreferences } from "@polyllama/planner";
import type { ElementType } from "../ort/api.ts";
import { type Activations, floatPacker, type Packer, type PartSpec, packers } from "./index.ts";

/** An array in the packed file. */
export interface PackedArray {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly length: number;
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

/** Linears over the same value that are computed together; their outputs stand side by side, in order. */
export interface LinearGroup {
  readonly x: ValueName;
  readonly outputs: readonly { readonly value: ValueName; readonly width: number }[];
  readonly matrix: PackedMatrix;
}

/** What a packed file holds. */
export interface Layout {
  /** All matrices, norms included as one row of f32. */
  readonly matrices: readonly PackedMatrix[];
  readonly norms: ReadonlyMap<WeightName, PackedArray>;
  /** The matrix that a linear's weight is in. */
  readonly stacks: ReadonlyMap<WeightName, PackedMatrix>;
  /** Size of the packed file. */
  readonly bytes: number;
}

/** What of it a graph uses. */
export interface GraphLayout {
  readonly norms: ReadonlyMap<WeightName, PackedArray>;
  /** The group of each linear's output. */
  readonly groups: ReadonlyMap<ValueName, LinearGroup>;
}

/** Name of the packed file within its folder. */
export const packedFile = "weights.bin";

/** Arrays start at multiples of a page, as mapping wants it. */
const alignment = 4096;

const preferences: WeightPreferences = { rowMultiple: 1, alternates: false, hostEmbeddings: true };

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

  const { places } = groupWeights(graphs, weights, preferences);
  const norms = new Map<WeightName, PackedArray>();
  const stacks = new Map<WeightName, PackedMatrix>();
  for (const node of graphs.flatMap(({ nodes }) => nodes)) {
    if (node.op === "rmsNorm" && !norms.has(node.weight)) {
      const info = weights.get(node.weight)!;
      norms.set(node.weight, { ...stack([info], floatPacker(info.format)).parts[0]!.array, shape: info.shape });
    }
    if (node.op === "linear" && !stacks.has(node.weight)) {
      const { members, format } = places.get(node.weight)!.group;
      const matrix = stack(members, packers[activations][format]);
      for (const { name } of members) stacks.set(name, matrix);
    }
  }
  return { matrices, norms, stacks, bytes: Math.max(end, 1) };
}

/**
 * What a graph uses of a packed file.
 *
 * @throws {PolyllamaError} `ERR_PARAMETERS` for a graph that the file was not planned for.
 */
export function graphLayout({ nodes, widths }: Graph, { norms, stacks }: Layout): GraphLayout {
  const linears = nodes.filter((node): node is LinearNode => node.op === "linear");
  const groups = new Map<ValueName, LinearGroup>();
  for (const node of nodes) {
    if (node.op === "rmsNorm" && !norms.has(node.weight)) throw notPlanned(node.weight, "is not among them");
    if (node.op !== "linear" || groups.has(node.output)) continue;
    const matrix = stacks.get(node.weight);
    if (matrix === undefined) throw notPlanned(node.weight, "is not among them");
    const { members } = matrix;
    const beside = members.flatMap(({ weight }) => linears.filter((l) => l.weight === weight && l.x === node.x));
    const group = members.length === 1 ? [node] : beside;
    if (String(group.map(({ weight }) => weight)) !== String(members.map(({ weight }) => weight))) {
      throw notPlanned(node.weight, "is stored with others that this graph does not multiply with the same value");
    }
    const outputs = group.map(({ output }) => ({ value: output, width: widths.get(output)! }));
    for (const { output } of group) groups.set(output, { x: node.x, outputs, matrix });
  }
  return { norms, groups };
}

function notPlanned(weight: WeightName, problem: string): PolyllamaError {
  return new PolyllamaError(
    "ERR_PARAMETERS",
    `These parameters were loaded for other graphs: "${weight}" ${problem}. Load them for this graph, too.`,
  );
}
