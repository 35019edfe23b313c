// Where weights come from. A source lists tensors under the names and row orders of `llama.ts` (Meta's names,
// interleaved rotary pairs), whatever the file called them, and hands out their bytes in pieces, so that no tensor ever
// has to stand in memory whole. Bytes stay in the stored format; @polyllama/formats says what they mean.

import { CheckpointError } from "./errors.ts";
import { blockSizes, type FormatName } from "./formats.ts";
import type { Graph, WeightName } from "./graph.ts";

/** A weight as a source offers it. */
export interface WeightInfo {
  readonly name: WeightName;
  /** [D] for norms, [rows, columns] for matrices. Rows are contiguous. */
  readonly shape: readonly number[];
  readonly format: FormatName;
}

/** A run of rows; a one-dimensional tensor is a single row. */
export interface RowRange {
  readonly first: number;
  readonly count: number;
}

/**
 * A run of elements of every row: whole blocks of the weight's format. A vector is one row, and its columns are its
 * elements.
 */
export interface ColumnRange {
  readonly first: number;
  readonly count: number;
}

/** What to read of a weight: all rows and all columns, where nothing else is said. */
export interface WeightRanges {
  readonly rows?: RowRange | undefined;
  readonly columns?: ColumnRange | undefined;
}

/** Where the rows of a weight lie one behind the other, as `read` gives them. */
export interface WeightLocation {
  /** A file of this machine. */
  readonly path: string;
  /** Of its first row. */
  readonly offset: number;
  /**
   * The file as it was when the source opened it: device, inode, and the times of modification and of change in
   * nanoseconds, joined by commas. What is read of another one is not this weight.
   */
  readonly version: string;
}

/** Where a backend reads weights, under the names of `llamaGraph`. */
export interface WeightSource {
  /** Path or URL, for errors and for people. */
  readonly name: string;
  readonly weights: ReadonlyMap<WeightName, WeightInfo>;
  /**
   * Bytes of the given rows, each cut to the given columns, one behind the other in a buffer of the caller's own: all
   * of the weight by default. May be called concurrently.
   *
   * @throws {OptionError} for rows or columns that the weight does not have, and columns that cut a block of its
   * format; {@link CheckpointError} when the file has changed, ended early or cannot be read; the signal's reason.
   */
  read(name: WeightName, ranges?: WeightRanges, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Where a weight can be read without `read`, by whoever has threads of its own for that; absent or undefined where
   * its rows are made, reordered, or in no file of this machine. A source that changes what another one's `read` gives
   * must not hand on its `locate`.
   */
  locate?(name: WeightName): WeightLocation | undefined;
  /**
   * The values of a weight [rows, columns] where they are more precise than its format, as those are that a device of
   * float64 has updated; absent or undefined where `read` gives all there is. A device that computes in less need not
   * ask. A source that changes what another one's `read` gives must not hand on its `readExact`.
   */
  readExact?(name: WeightName, signal?: AbortSignal): Promise<Float64Array | undefined>;
  /**
   * A string that changes when any weight may have changed: for keys of caches. It identifies, it does not protect:
   * files are identified by inode, size, times, header and samples, those behind a URL by what the server says of their
   * version, and not by every byte.
   */
  fingerprint(): Promise<string>;
}

/** Rows of a tensor: its first dimension, or 1 for a vector. */
export function rowCount({ shape }: Pick<WeightInfo, "shape">): number {
  return shape.length === 1 ? 1 : (shape[0] ?? 0);
}

/** Elements in a row of a tensor: its last dimension. */
export function columnCount({ shape }: Pick<WeightInfo, "shape">): number {
  return shape.at(-1) ?? 0;
}

/**
 * What a source holds of a graph's weights, in the graph's order. For backends: all of them refuse the same sources
 * with the same words.
 *
 * @throws {CheckpointError} naming a weight that is missing or has another shape.
 */
export function checkWeights(graph: Graph, source: WeightSource): readonly WeightInfo[] {
  return graph.weights.map(({ name, shape }) => {
    const info = source.weights.get(name);
    if (info === undefined) {
      throw new CheckpointError(
        { file: source.name, tensor: name },
        "is missing",
        "The checkpoint is incomplete or its configuration declares more layers than it holds; download it again.",
      );
    }
    if (String(info.shape) !== String(shape)) {
      throw new CheckpointError(
        { file: source.name, tensor: name },
        `has shape [${info.shape}] where the model needs [${shape}]`,
        "The configuration and the weights belong to different models; use the files of one model.",
      );
    }
    const { blockSize } = blockSizes[info.format];
    if (columnCount(info) % blockSize !== 0) {
      throw new CheckpointError(
        { file: source.name, tensor: name },
        `has rows of ${columnCount(info)}, which are no whole ${info.format} blocks of ${blockSize}`,
        "Store it in another format.",
      );
    }
    return info;
  });
}
