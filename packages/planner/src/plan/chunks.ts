// How the rows of a step are cut into chunks, so that scratch memory is bounded whatever the step. A backend computes
// in modes, such as one for decoding and one for prefill; which mode computes a sequence depends on that sequence
// alone, so that its result does not depend on what else is in the step.

/** Which sequences a mode computes, and how much at once. */
export interface ChunkMode<Name extends string = string> {
  readonly name: Name;
  /** Most rows by which its sequences advance in a step; a sequence belongs to the first mode that takes it. */
  readonly sequenceRows: number;
  /** Most rows of a chunk. */
  readonly rows: number;
  /** Most sequences of a chunk. */
  readonly sequences: number;
}

/** Consecutive rows of one sequence within a chunk. */
export interface ChunkSegment {
  /** Number of the sequence in its step. */
  readonly sequence: number;
  /** Its first row in the chunk, and in the sequence's own part of the step. */
  readonly first: number;
  readonly from: number;
  readonly rows: number;
  /** Whether it has the sequence's last row. */
  readonly ends: boolean;
}

/** Rows that are computed at once, all in one mode. */
export interface Chunk<Name extends string = string> {
  readonly mode: Name;
  readonly rows: number;
  readonly segments: readonly ChunkSegment[];
}

/** Cuts a step, whose sequences advance by the given numbers of rows. The last mode must take all of them. */
export function cutChunks<Name extends string>(
  sequences: readonly { readonly rows: number }[],
  modes: readonly ChunkMode<Name>[],
): readonly Chunk<Name>[] {
  const chunks: Chunk<Name>[] = [];
  for (const mode of modes) {
    let segments: ChunkSegment[] = [];
    let filled = 0;
    const close = (): void => {
      if (segments.length > 0) chunks.push({ mode: mode.name, rows: filled, segments });
      segments = [];
      filled = 0;
    };
    for (const [sequence, { rows }] of sequences.entries()) {
      if (modes.find(({ sequenceRows }) => rows <= sequenceRows) !== mode) continue;
      for (let from = 0; from < rows; ) {
        const count = Math.min(rows - from, mode.rows - filled);
        segments.push({ sequence, first: filled, from, rows: count, ends: from + count === rows });
        from += count;
        filled += count;
        if (filled === mode.rows || segments.length === mode.sequences) close();
      }
    }
    close();
  }
  return chunks;
}

/** Rows of a chunk whose widest activation, of so many bytes a row, must fit a buffer: at most `rows`, at least 1. */
export function fittingRows(rows: number, widestBytes: number, bufferBytes: number): number {
  return Math.min(rows, Math.max(1, Math.floor(bufferBytes / widestBytes)));
}
