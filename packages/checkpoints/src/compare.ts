// Two checkpoints side by side, tensor by tensor, whatever files they come from: their values, the configuration that
// they compute with, and what they mean to text. Rows are read a few MiB at a time.

import {
  checkOptions,
  columnCount,
  type FormatName,
  type LlamaConfig,
  type OptionSchema,
  option,
  type Progress,
  rowCount,
  type WeightInfo,
  type WeightName,
} from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { breathe } from "./breathe.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { compareText, type TextDifference } from "./compare-text.ts";

/** A tensor in both checkpoints, or in one. */
export interface TensorComparison {
  readonly name: WeightName;
  /** Formats; undefined where the checkpoint lacks the tensor. */
  readonly formats: readonly [FormatName | undefined, FormatName | undefined];
  readonly shapes: readonly [readonly number[] | undefined, readonly number[] | undefined];
  /** Same format and same bytes. */
  readonly equalBits: boolean;
  /** Largest difference of two values; Infinity where shapes differ or a tensor is missing. */
  readonly maxError: number;
  /** Square root of the mean square of the differences, relative to that of the first checkpoint's values. */
  readonly relativeError: number;
  readonly agrees: boolean;
}

/** Where two checkpoints differ. */
export interface Comparison {
  readonly tensors: readonly TensorComparison[];
  /** Fields of the configuration that differ. */
  readonly config: readonly { readonly field: string; readonly values: readonly [unknown, unknown] }[];
  /** Where they differ in what they mean to text: tokens, ends, chat template and so on. */
  readonly text: readonly TextDifference[];
  /** Whether nothing differs beyond the tolerance. */
  readonly agrees: boolean;
}

/** How two checkpoints are compared. */
export interface CompareOptions {
  /** Largest `relativeError` of a tensor. Default 0: the values are equal, in whatever format. */
  readonly tolerance?: number;
  /** Told of the tensors that have been compared, in values. */
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

const compareOptionTypes: OptionSchema<CompareOptions> = {
  tolerance: option.number({ least: 0 }),
  onProgress: option.function,
  signal: option.signal,
};

/** Values that are compared at a time. */
const pieceValues = 2 ** 20;

/**
 * Compares two checkpoints. Embeddings that are tied in one and stored twice in the other are no difference as long as
 * the values are equal; constants that one file keeps as f32 are compared as f32.
 *
 * @throws {CheckpointError} when one cannot be read; PolyllamaError `ERR_OPTION`; the signal's reason.
 */
export async function compareCheckpoints(
  a: Checkpoint,
  b: Checkpoint,
  options: CompareOptions = {},
): Promise<Comparison> {
  checkOptions(options, compareOptionTypes, "compareCheckpoints()");
  const { tolerance = 0, onProgress, signal } = options;
  const pairs = [...new Set([...a.weights.keys(), ...b.weights.keys()])].map((name) => {
    return { name, infos: [infoOf(a, name), infoOf(b, name)] as const };
  });
  const total = pairs.reduce((sum, { infos }) => sum + valueCount(infos[0] ?? infos[1]), 0);
  let done = 0;
  const tensors: TensorComparison[] = [];
  for (const { name, infos } of pairs) {
    const [first, second] = infos;
    const comparable = first !== undefined && second !== undefined && String(first.shape) === String(second.shape);
    const errors = comparable
      ? await compareValues(a, b, first, second, signal, (values) => {
          done += values;
          onProgress?.({ phase: "comparing", done, total, unit: "values" });
        })
      : { equalBits: false, maxError: Infinity, relativeError: Infinity };
    tensors.push({
      name,
      formats: [first?.format, second?.format],
      shapes: [first?.shape, second?.shape],
      ...errors,
      agrees: errors.relativeError <= tolerance,
    });
  }
  const config = compareConfigs(a.config, b.config);
  const text = compareText(a, b);
  const agrees = tensors.every((tensor) => tensor.agrees) && config.length === 0 && text.length === 0;
  return { tensors, config, text, agrees };
}

/** The weight of that name; of a checkpoint with tied embeddings the table stands for the output too. */
function infoOf(checkpoint: Checkpoint, name: WeightName): WeightInfo | undefined {
  const info = checkpoint.weights.get(name);
  if (info !== undefined || name !== "output.weight") return info;
  return checkpoint.config.tiedEmbeddings ? checkpoint.weights.get("tok_embeddings.weight") : undefined;
}

function valueCount(info: WeightInfo | undefined): number {
  return info === undefined ? 0 : rowCount(info) * columnCount(info);
}

async function compareValues(
  a: Checkpoint,
  b: Checkpoint,
  first: WeightInfo,
  second: WeightInfo,
  signal: AbortSignal | undefined,
  onValues: (count: number) => void,
): Promise<Pick<TensorComparison, "equalBits" | "maxError" | "relativeError">> {
  const columns = columnCount(first);
  const rows = rowCount(first);
  const step = Math.max(1, Math.floor(pieceValues / columns));
  let equalBits = first.format === second.format;
  let maxError = 0;
  let squares = 0;
  let differences = 0;
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row);
    const ranges = { rows: { first: row, count } };
    const [left, right] = await Promise.all([a.read(first.name, ranges, signal), b.read(second.name, ranges, signal)]);
    onValues(count * columns);
    const [x, y] = [valuesOf(first.format, left), valuesOf(second.format, right)];
    const same = first.format === second.format && Buffer.compare(left, right) === 0;
    equalBits &&= same;
    for (let i = 0; i < x.length; i++) {
      squares += x[i]! * x[i]!;
      if (same) continue;
      const difference = Math.abs(x[i]! - y[i]!);
      differences += difference * difference;
      if (!(difference <= maxError)) maxError = Number.isNaN(difference) ? Infinity : difference;
    }
    await breathe(signal);
  }
  const relativeError = differences === 0 ? 0 : Math.sqrt(differences / squares);
  return { equalBits, maxError, relativeError: Number.isNaN(relativeError) ? Infinity : relativeError };
}

function valuesOf(format: FormatName, bytes: Uint8Array): Float32Array {
  const { blockSize, blockBytes, dequantize } = formats[format];
  const values = new Float32Array((bytes.length / blockBytes) * blockSize);
  dequantize(bytes, values);
  return values;
}

/** Fields that differ; whether embeddings are tied shows in the tensors. */
function compareConfigs(a: LlamaConfig, b: LlamaConfig): Comparison["config"] {
  const rounded = (value: unknown): string =>
    JSON.stringify(value, (_, part: unknown) => (typeof part === "number" ? Math.fround(part) : part));
  return (Object.keys(a) as (keyof LlamaConfig)[]) // a record's own keys
    .filter((field) => field !== "tiedEmbeddings" && rounded(a[field]) !== rounded(b[field]))
    .map((field) => ({ field, values: [a[field], b[field]] }));
}
