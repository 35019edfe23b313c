// Quantization on load: a source whose matrices are read in blocks, though its file holds floats. Work is done on the
// rows that are asked for, a few MiB at a time, on several threads where it is much.

import { columnCount, resolveRanges, type WeightInfo, type WeightName, type WeightSource } from "@polyllama/core";
import { assertFinite, checkQuantizedFormat, formatForRows, formats, type QuantizedFormat } from "@polyllama/formats";
import { breathe } from "../breathe.ts";
import { type Checkpoint, findWeight } from "../checkpoint.ts";
import { createQuantizerPool, type QuantizerPoolOptions } from "./pool.ts";

/** Raised when the same values would be quantized to other blocks than before. */
const quantizerVersion = 1;
/** Values that are in memory at a time. */
const pieceValues = 2 ** 22;

/**
 * The same weights, with every matrix of f32, f16 or bf16 quantized as it is read; the embedding table too, as in
 * llama.cpp's files of these formats without a mixture. Norms and matrices that are quantized already stay as they are;
 * for rows that are not whole blocks see {@link formatForRows}. Disposing the result disposes the checkpoint.
 *
 * @throws {PolyllamaError} `ERR_OPTION` for other formats; reading throws `CheckpointError` for NaN or infinite
 * weights.
 */
export function quantized(source: Checkpoint, format: QuantizedFormat, options?: QuantizerPoolOptions): Checkpoint;
export function quantized(source: WeightSource, format: QuantizedFormat, options?: QuantizerPoolOptions): WeightSource;
export function quantized(
  source: Checkpoint | WeightSource,
  format: QuantizedFormat,
  options?: QuantizerPoolOptions,
): Checkpoint | WeightSource {
  checkQuantizedFormat(format);
  const pool = createQuantizerPool(options); // its threads stop by themselves
  const weights = new Map<WeightName, WeightInfo>();
  for (const [name, info] of source.weights) {
    weights.set(name, { ...info, format: targetOf(info, format) ?? info.format });
  }

  const view: WeightSource = {
    name: source.name,
    weights,
    async read(name, ranges, signal) {
      const from = findWeight(source.weights, name, source.name);
      const target = targetOf(from, format);
      if (target === undefined) return source.read(name, ranges, signal);
      const { rows, columns, cutBytes } = resolveRanges({ ...from, format: target }, ranges);
      const output = new Uint8Array(cutBytes * rows.count);
      const step = Math.max(1, Math.floor(pieceValues / columns.count));
      let written = 0;
      for (let done = 0; written < output.length; done += step) {
        const piece = { first: rows.first + done, count: Math.min(step, rows.count - done) };
        const bytes = await source.read(name, { rows: piece, columns }, signal);
        assertFinite(source, from, bytes, piece.first, columns);
        const values = new Float32Array(piece.count * columns.count);
        formats[from.format].dequantize(bytes, values);
        const blocks = await pool.quantize(values, target, signal);
        output.set(blocks, written);
        written += blocks.length;
        await breathe(signal);
      }
      return output;
    },
    fingerprint: async () => `${await source.fingerprint()}:${format}#${quantizerVersion}`,
  };
  if (!("kind" in source)) return view;
  const { kind, config, tokenizer, text, notices, stored, metadata, companions } = source;
  return {
    ...view,
    kind,
    config,
    tokenizer,
    text,
    notices,
    stored,
    metadata,
    ...(companions !== undefined && { companions }),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

/** The format that a weight is quantized to, if it is. */
function targetOf(info: WeightInfo, format: QuantizedFormat): QuantizedFormat | undefined {
  const floats = info.shape.length === 2 && formats[info.format].blockSize === 1;
  return floats ? formatForRows(columnCount(info), format) : undefined;
}
