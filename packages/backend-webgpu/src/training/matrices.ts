// Weights as kernels of training bind them: matrices of any stored format in pieces of some of their rows, vectors whole.

import type { FormatName, WeightName } from "@polyllama/core";
import { packedWords } from "../pack.ts";
import type { MatrixPart } from "../weights/layout.ts";
import type { LoadedWeights } from "../weights/loaded.ts";
import { part as partOf, type View, whole } from "./commands.ts";
import { cut, type RowRange } from "./layout.ts";

/** Some rows of a matrix. */
export interface MatrixPiece extends RowRange {
  readonly format: FormatName;
  readonly columns: number;
  readonly quants: View;
  readonly scales: View;
  /** Word of `scales` at which the plane of high bits begins. */
  readonly high: number;
}

/** Pieces begin at multiples of so many rows, where all planes of all formats begin at multiples of 256 bytes. */
export const pieceRows = 128;

/** @param most Rows of a piece, a multiple of {@link pieceRows}. */
export function matrixPieces(
  name: WeightName,
  { layout, buffers }: LoadedWeights,
  most: number = Number.POSITIVE_INFINITY,
): readonly MatrixPiece[] {
  const { group } = layout.places.get(name)!; // assertPlaced saw it, and that it stands alone
  return layout.parts.get(group)!.flatMap((part) => {
    const { quants, scales } = buffers.parts.get(part)!; // likewise
    const ranges = Number.isFinite(most) ? cut(part.rows, most) : [{ first: 0, count: part.rows }];
    return ranges.map((range): MatrixPiece => {
      const { format, columns } = group;
      const views = planes(part, range, format, columns, whole(quants), quants === scales ? undefined : whole(scales));
      return { first: part.before + range.first, count: range.count, format, columns, ...views };
    });
  });
}

function planes(
  { high }: MatrixPart,
  { first, count }: RowRange,
  format: FormatName,
  columns: number,
  quants: View,
  scales: View | undefined,
): Pick<MatrixPiece, "quants" | "scales" | "high"> {
  const [before, own] = [packedWords(format, first, columns), packedWords(format, count, columns)];
  const values = partOf(quants, before.quants, own.quants);
  if (scales === undefined) return { quants: values, scales: values, high: 0 };
  const beside = partOf(scales, before.scales, scales.bytes / 4 - before.scales);
  return { quants: values, scales: beside, high: high - before.scales + before.high };
}

/** The weight of a norm. */
export function vectorView(name: WeightName, { buffers }: LoadedWeights): View {
  return whole(buffers.vectors.get(name)!); // the layout places all that graphs normalize with
}
