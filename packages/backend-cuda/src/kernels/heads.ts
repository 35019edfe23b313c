// Heads of an attention, as its kernels are told of them, and the sizes that kernels are made for.

export interface Heads {
  readonly heads: number;
  readonly kvHeads: number;
  /** Even. */
  readonly headDim: number;
  /** Elements per position that lie before this attention's keys in a cache. */
  readonly before: number;
}

/** Widths of the attention kernels. */
const headWidths = [64, 128, 256] as const;

export const mostHeadDim: number = headWidths.at(-1)!; // it has three

/** The kernels' width for heads of up to {@link mostHeadDim}. */
export function headWidth(headDim: number): number {
  return headWidths.find((width) => headDim <= width) ?? mostHeadDim;
}
