// Plans the packed file: which matrices are stacked into one, and where every array lies. Linears that read the same
// value in the same format become one matrix of all their rows (wq, wk, wv; w1, w3), because one large multiplication is
// faster than three and rounds its input once. The plan depends on the graph and the formats alone, never on what a run
// asks for, so every variant of a program reads the same file.

import type { FormatName, Graph, LinearNode, ValueName, WeightInfo, WeightName } from "@polyllama/core";
import { columnCount, rowCount } from "@polyllama/core";
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

export interface Layout {
  /** All matrices, norms included as one row of f32. */
  readonly matrices: readonly PackedMatrix[];
  readonly norms: ReadonlyMap<WeightName, PackedArray>;
  /** The group of each linear's output. */
  readonly groups: ReadonlyMap<ValueName, LinearGroup>;
  /** Size of the packed file. */
  readonly bytes: number;
}

/** Name of the packed file within its folder. */
export const packedFile = "weights.bin";

/** Arrays start at multiples of a page, as mapping wants it. */
const alignment = 4096;

export function planLayout(
  graph: Graph,
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
  const stack = (names: readonly WeightName[], format: FormatName, packer: Packer): PackedMatrix => {
    const infos = names.map((name) => weights.get(name)!);
    const columns = columnCount(infos[0]!);
    let rows = 0;
    const members = infos.map((info) => {
      const firstRow = rows;
      rows += rowCount(info);
      return { weight: info.name, firstRow, rows: rowCount(info) };
    });
    const parts = packer.parts(columns).map((spec) => {
      const length = spec.bytesPerRow * rows;
      const name = `${names.join("+")}:${spec.name}`;
      return { spec, array: { name, type: spec.type, shape: spec.shape(rows), offset: place(length), length } };
    });
    const matrix = { format, packer, columns, rows, members, parts };
    matrices.push(matrix);
    return matrix;
  };

  const linears = graph.nodes.filter((node): node is LinearNode => node.op === "linear");
  const uses = new Map<WeightName, number>();
  for (const { weight } of linears) uses.set(weight, (uses.get(weight) ?? 0) + 1);
  const formatOf = (node: LinearNode): FormatName => weights.get(node.weight)!.format;

  const groups = new Map<ValueName, LinearGroup>();
  const shared = new Map<WeightName, PackedMatrix>();
  const norms = new Map<WeightName, PackedArray>();
  for (const node of graph.nodes) {
    if (node.op === "rmsNorm" && !norms.has(node.weight)) {
      const { shape, format } = weights.get(node.weight)!;
      norms.set(node.weight, { ...stack([node.weight], format, floatPacker(format)).parts[0]!.array, shape });
    }
    if (node.op !== "linear" || groups.has(node.output)) continue;
    const single = (uses.get(node.weight) ?? 0) > 1;
    const nodes = single
      ? [node]
      : linears.filter((l) => l.x === node.x && formatOf(l) === formatOf(node) && uses.get(l.weight) === 1);
    const known = shared.get(node.weight);
    const names = nodes.map((l) => l.weight);
    const matrix = known ?? stack(names, formatOf(node), packers[activations][formatOf(node)]);
    if (single) shared.set(node.weight, matrix);
    const outputs = nodes.map((l) => ({ value: l.output, width: graph.widths.get(l.output)! }));
    for (const { output } of nodes) groups.set(output, { x: node.x, outputs, matrix });
  }
  return { matrices, norms, groups, bytes: Math.max(end, 1) };
}
