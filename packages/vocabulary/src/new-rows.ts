// The rows that a model's tables get for new pieces. A piece starts where the model already knew it: at the mean of the
// rows of the tokens that it was written with before. The other way is the mean of all rows.
// Source: "Efficient and Effective Text Encoding for Chinese LLaMA and Alpaca" (arXiv 2304.08177), section 3.2, resizes
// by new rows behind the old ones.

import {
  CheckpointError,
  columnCount,
  PolyllamaError,
  type RowRange,
  rowCount,
  type Tokenizer,
  tokenizerFromGguf,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import { assertFinite, formats } from "@polyllama/formats";

/** Computes the rows [count, D] of new pieces, the first of which has the number 0, as values. */
export type ReadNewRows = (weight: WeightInfo, rows: RowRange, signal?: AbortSignal) => Promise<Float32Array>;

/** Rows of old tokens that are kept for the next mean; they are few, such as those of bytes. */
const mostKept = 1024;
/** Values that are summed at a time. */
const pieceValues = 2 ** 20;

/**
 * Refuses a vocabulary in which an old id would mean something else.
 *
 * @param path Name of the new one, for the error.
 * @throws {PolyllamaError} `ERR_TOKENIZER`
 */
export function checkContinues(old: Tokenizer, grown: Tokenizer, path: string): void {
  for (let id = 0; id < old.vocabSize; id++) {
    const piece = id < grown.vocabSize ? grown.piece(id) : undefined;
    if (piece === old.piece(id)) continue;
    throw new PolyllamaError(
      "ERR_TOKENIZER",
      `${path}: token ${id} is ${JSON.stringify(piece)}, but ${JSON.stringify(old.piece(id))} in the model's own vocabulary of ${old.vocabSize}. ` +
        "Merge the model's own tokenizer.model with the new pieces; a vocabulary that was made from another base does not fit.",
    );
  }
}

/**
 * Means of the rows of the old tokens that a piece was written with before, nothing put in front of it.
 *
 * @param source The old weights. @param oldSize Number of old pieces.
 * @param tokenizer The new tokenizer, whose first pieces are the old ones. @param vocabulary The same as GGUF's keys.
 * @throws {PolyllamaError} `ERR_TOKENIZER`; reading throws what the source throws, and {@link CheckpointError} for NaN.
 */
export function meansOfSubTokens(
  source: WeightSource,
  oldSize: number,
  tokenizer: Tokenizer,
  vocabulary: ReadonlyMap<string, unknown>,
): ReadNewRows {
  // The old vocabulary is the first part of the new one.
  const plain = new Map(
    [...vocabulary].map(([key, value]) => [key, Array.isArray(value) ? value.slice(0, oldSize) : value]),
  );
  plain.set("tokenizer.ggml.add_space_prefix", false);
  plain.set("tokenizer.ggml.remove_extra_whitespaces", false);
  plain.delete("tokenizer.ggml.precompiled_charsmap"); // pieces are normalized already
  const old = tokenizerFromGguf(plain, source.name);
  const kept = new Map<string, Float32Array>();

  const oldRow = async (info: WeightInfo, id: number, signal?: AbortSignal): Promise<Float32Array> => {
    const key = `${info.name} ${id}`;
    const known = kept.get(key);
    if (known !== undefined) return known;
    const values = await readValues(source, info.name, { first: id, count: 1 }, signal);
    if (kept.size === mostKept) kept.clear();
    kept.set(key, values);
    return values;
  };

  return async (info, { first, count }, signal) => {
    const columns = columnCount(info);
    const output = new Float32Array(count * columns); // [count, D]
    for (let row = 0; row < count; row++) {
      const text = tokenizer.piece(old.vocabSize + first + row).replaceAll("\u2581", " ");
      const ids = old.encode(text, { bos: false, eos: false });
      const sum = new Float64Array(columns);
      for (const id of ids) {
        const values = await oldRow(info, id, signal);
        for (let column = 0; column < columns; column++) sum[column]! += values[column]!;
      }
      output.set(
        sum.map((value) => value / Math.max(1, ids.length)),
        row * columns,
      );
    }
    return output;
  };
}

/** The mean of all old rows, whatever the piece. @throws as {@link meansOfSubTokens} does. */
export function meansOfAll(source: WeightSource): ReadNewRows {
  const means = new Map<WeightName, Promise<Float64Array>>();
  const meanOf = async (name: WeightName, signal?: AbortSignal): Promise<Float64Array> => {
    const info = storedWeight(source, name);
    const [rows, columns] = [rowCount(info), columnCount(info)];
    const sum = new Float64Array(columns);
    const step = Math.max(1, Math.floor(pieceValues / columns));
    for (let first = 0; first < rows; first += step) {
      const values = await readValues(source, name, { first, count: Math.min(step, rows - first) }, signal);
      for (let at = 0; at < values.length; at++) sum[at % columns]! += values[at]!;
    }
    return sum.map((value) => value / rows);
  };
  return async (info, { count }, signal) => {
    const mean = means.get(info.name) ?? meanOf(info.name, signal);
    means.set(info.name, mean);
    const output = new Float32Array(count * columnCount(info)); // [count, D]
    const values = await mean.catch((error: unknown) => {
      means.delete(info.name);
      throw error;
    });
    for (let row = 0; row < count; row++) output.set(values, row * values.length);
    return output;
  };
}

async function readValues(
  source: WeightSource,
  name: WeightName,
  rows: RowRange,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const info = storedWeight(source, name);
  const bytes = await source.read(name, { rows }, signal);
  assertFinite(source, info, bytes, rows.first);
  const values = new Float32Array(rows.count * columnCount(info)); // [rows, D]
  formats[info.format].dequantize(bytes, values);
  return values;
}

function storedWeight({ name: file, weights }: WeightSource, name: WeightName): WeightInfo {
  const info = weights.get(name);
  if (info !== undefined) return info;
  throw new CheckpointError({ file, tensor: name }, "is missing", "Download the checkpoint again.");
}
