// A checkpoint as a GGUF file that llama.cpp loads. Tensors pass through in pieces of rows; the file appears under its name
// only when it is whole and on the disk.

import { randomBytes } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import {
  assertFinite,
  CheckpointError,
  checkOptions,
  columnCount,
  formatBytes,
  formats,
  type LlamaConfig,
  PolyllamaError,
  type Progress,
  ropeScalingToGguf,
  rowCount,
  type Tokenizer,
  type WeightInfo,
  type WeightSource,
} from "@polyllama/core";
import { storedName } from "../names.ts";
import type { QuantizedFormat } from "../quantize/quantize.ts";
import { quantized } from "../quantize/quantized.ts";
import { encodeGgufHeader, type GgufEntry } from "./encode.ts";

/** Bytes that are read and written at a time. */
const PIECE = 8 * 2 ** 20;

/** What a GGUF file is written from; every checkpoint is one. */
export interface GgufContent extends WeightSource {
  readonly config: LlamaConfig;
  readonly tokenizer: Tokenizer | undefined;
  /** Keys under `tokenizer.` are taken over as they are; `general.name` too. */
  readonly metadata: ReadonlyMap<string, unknown>;
}

export interface WriteGgufOptions {
  /** Quantize matrices of floats; default: every matrix as it is. */
  readonly format?: QuantizedFormat;
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/**
 * Writes a GGUF file, replacing one of the same name. Norms become f32, as llama.cpp wants them; matrices keep their bytes.
 *
 * The vocabulary is that of the source's GGUF keys, which checkpoints with a `tokenizer.model` have too. Where there are
 * none, one is made of the tokenizer's pieces with scores in the order of their ids: right for vocabularies whose merges
 * are in that order, as SentencePiece trains them; others llama.cpp may split differently. Without a tokenizer the file
 * has no vocabulary.
 *
 * @throws {CheckpointError} when the file cannot be written or a weight is NaN or infinite; nothing is left behind.
 * {@link PolyllamaError} `ERR_OPTION`
 */
export async function writeGguf(path: string, content: GgufContent, options: WriteGgufOptions = {}): Promise<void> {
  checkOptions(options, ["format", "onProgress", "signal"], "writeGguf");
  const { format, onProgress, signal } = options;
  const source = format === undefined ? content : quantized(content, format);
  const infos = [...source.weights.values()];
  const entries = infos.map((info): GgufEntry => {
    const name = storedName(info.name, "gguf");
    if (name === undefined) throw new PolyllamaError("ERR_OPTION", `GGUF has no name for the weight "${info.name}".`);
    const written = info.shape.length === 1 ? ("f32" as const) : info.format;
    const bytes = formatBytes(written, columnCount(info)) * rowCount(info);
    return { name, shape: info.shape, format: written, bytes };
  });
  const { header, offsets, end } = encodeGgufHeader(metadataOf(content, infos), entries);

  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const file = await open(temporary, "wx");
    try {
      await writeAll(file, header, 0);
      let done = header.length;
      for (const [index, info] of infos.entries()) {
        let offset = offsets[index]!; // one per entry
        for await (const bytes of pieces(source, info, signal)) {
          await writeAll(file, bytes, offset);
          offset += bytes.length;
          done += bytes.length;
          onProgress?.({ phase: "writing", done, total: end });
        }
      }
      await file.truncate(end); // pads the last tensor
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw explain(error, path);
  }
}

/** A tensor's rows, a few MiB at a time. */
async function* pieces(
  source: WeightSource,
  info: WeightInfo,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const columns = columnCount(info);
  const rows = rowCount(info);
  const step = Math.max(1, Math.floor(PIECE / formatBytes(info.format, columns)));
  for (let first = 0; first < rows; first += step) {
    const bytes = await source.read(info.name, { first, count: Math.min(step, rows - first) }, signal);
    assertFinite(source, info, bytes, first);
    if (info.shape.length > 1 || info.format === "f32") yield bytes;
    else {
      const values = new Float32Array(columns);
      formats[info.format].dequantize(bytes, values);
      yield new Uint8Array(values.buffer);
    }
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** Makes the new name durable too, where the system allows a folder to be synced. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r").catch(() => undefined);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}

function explain(error: unknown, path: string): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (!/^E[A-Z0-9]+$/.test(code) || error instanceof PolyllamaError) return error;
  const remedy = code === "ENOSPC" ? "Free some space on the disk." : "Check the folder and its permissions.";
  return new CheckpointError({ file: path }, `the file cannot be written (${code})`, remedy, { cause: error });
}

/** llama.cpp's number for the format of most matrices. */
const fileTypes: Readonly<Record<WeightInfo["format"], number>> = {
  f32: 0,
  f16: 1,
  q4_0: 2,
  q4_1: 3,
  q8_0: 7,
  q5_0: 8,
  q5_1: 9,
  q2_k: 10,
  q3_k: 12,
  q4_k: 15,
  q5_k: 17,
  q6_k: 18,
  iq4_nl: 25,
  bf16: 32,
  q8_k: 1024, // has no number; this one says that the tensors' own formats count
};

function metadataOf(content: GgufContent, infos: readonly WeightInfo[]): ReadonlyMap<string, unknown> {
  const { config, metadata } = content;
  const bulk = infos.find(({ name }) => name === "layers.0.attention.wq.weight");
  const name = metadata.get("general.name");
  const entries = new Map<string, unknown>([
    ["general.architecture", "llama"],
    ["general.name", typeof name === "string" ? name : content.name.split(/[\\/]/).at(-1)],
    ["general.file_type", fileTypes[bulk?.format ?? "f32"]],
    ["general.quantization_version", 2],
    ["llama.block_count", config.layers],
    ["llama.context_length", config.contextLength],
    ["llama.embedding_length", config.dim],
    ["llama.feed_forward_length", config.hiddenDim],
    ["llama.attention.head_count", config.heads],
    ["llama.attention.head_count_kv", config.kvHeads],
    ["llama.attention.key_length", config.headDim],
    ["llama.attention.value_length", config.headDim],
    ["llama.attention.layer_norm_rms_epsilon", config.normEps],
    ["llama.rope.dimension_count", config.headDim],
    ["llama.rope.freq_base", config.ropeTheta],
    ["llama.vocab_size", config.vocabSize],
  ]);
  for (const [key, value] of ropeScalingToGguf(config.ropeScaling)) entries.set(`llama.rope.scaling.${key}`, value);
  if (metadata.has("tokenizer.ggml.tokens")) {
    for (const [key, value] of metadata) if (key.startsWith("tokenizer.")) entries.set(key, value);
  } else if (content.tokenizer !== undefined) {
    for (const [key, value] of vocabularyOf(content.tokenizer)) entries.set(key, value);
  } else {
    entries.set("tokenizer.ggml.model", "no_vocab");
  }
  return entries;
}

function vocabularyOf(tokenizer: Tokenizer): ReadonlyMap<string, unknown> {
  const ids = Array.from({ length: tokenizer.vocabSize }, (_, id) => id);
  const tokens = ids.map((id) => tokenizer.piece(id));
  const entries = new Map<string, unknown>([
    ["tokenizer.ggml.model", "llama"],
    ["tokenizer.ggml.tokens", tokens],
    ["tokenizer.ggml.scores", ids.map((id) => -id)],
    ["tokenizer.ggml.token_type", ids.map((id) => tokenType(tokenizer, id, tokens[id]!))], // a token for each id
  ]);
  if (tokenizer.bos !== undefined) entries.set("tokenizer.ggml.bos_token_id", tokenizer.bos);
  if (tokenizer.eos !== undefined) entries.set("tokenizer.ggml.eos_token_id", tokenizer.eos);
  if (tokenizer.chatTemplate !== undefined) entries.set("tokenizer.chat_template", tokenizer.chatTemplate);
  return entries;
}

/** GGUF's kinds of tokens: 1 normal, 2 unknown, 3 control, 6 byte. */
function tokenType(tokenizer: Tokenizer, id: number, piece: string): number {
  if (/^<0x[0-9A-F]{2}>$/.test(piece)) return 6;
  if (piece === "<unk>") return 2;
  return tokenizer.isControl(id) ? 3 : 1;
}
