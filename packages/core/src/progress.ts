// What long work tells of itself.

/** Progress of long work. */
export interface Progress {
  /** What is being done, as a short phrase: "packing weights". */
  readonly phase: string;
  /** What is done, in the phase's own unit. */
  readonly done: number;
  /** What there is to do, in the same unit; 0 where nobody knows. */
  readonly total: number;
  /** Default: bytes. Steps are of unequal length and say only how far it is. */
  readonly unit?: "bytes" | "files" | "lines" | "pieces" | "steps" | "tokens" | "values";
}
