// How rows are cut into the heads of attention.

/** How rows are cut into heads. */
export interface Heads {
  /** H, a multiple of G. */
  readonly heads: number;
  /** G */
  readonly kvHeads: number;
  /** d */
  readonly headDim: number;
}
