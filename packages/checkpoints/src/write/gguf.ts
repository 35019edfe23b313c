// A checkpoint as a GGUF file that llama.cpp loads, whole or split into parts as llama-gguf-split does.

import { basename, dirname, join } from "node:path";
import { checkOptions, checkValue, type FormatName, ropeScalingToGguf } from "@polyllama/core";
import { createQuantizerPool } from "../quantize/pool.ts";
import { isRecipe, type PlannedTensor, planTensors, recipes, type TargetFormat } from "./formats.ts";
import { encodeGgufHeader } from "./gguf-encode.ts";
import { ggufText } from "./gguf-text.ts";
import { destinationType, type WriteContent, type WriteOptions, type Written, writeOptionTypes } from "./options.ts";
import { explainWriting, outputFiles, writeTensors } from "./output.ts";
import { convertedRows } from "./rows.ts";
import { intoShards, mostCommon, partNames, totalBytes } from "./shards.ts";

/**
 * Writes a GGUF file. Norms become f32, as llama.cpp wants them; matrices keep their bytes unless a format is asked
 * for. With `shardBytes` there are several files, `NAME-00001-of-00003.gguf` and so on.
 *
 * The vocabulary is that of the source's GGUF keys, which checkpoints with a `tokenizer.model` have too. Where there
 * are none, one is made of the tokenizer's pieces (see `ggufText`); `onNote` hears what llama.cpp will not do as the
 * source does. Without a tokenizer the file has no vocabulary.
 *
 * @throws {CheckpointError} when the file cannot be written or a weight is NaN or infinite; nothing is left behind.
 * `PolyllamaError` `ERR_OPTION`
 */
export async function writeGguf(path: string, content: WriteContent, options: WriteOptions = {}): Promise<Written> {
  checkValue(path, destinationType, "path", "writeGguf()");
  checkOptions(options, writeOptionTypes, "writeGguf()");
  const { format = "keep", shardBytes, overwrite = false, threads, onProgress, onNote, signal } = options;
  const plan = planTensors(content, "gguf", options);
  const metadata = await metadataOf(content, plan, format, (text) => onNote?.(text));
  const shards = intoShards(plan, shardBytes ?? Infinity);
  const file = basename(path);
  const names = shards.length === 1 ? [file] : partNames(shards.length, file.replace(/\.gguf$/, ""), "gguf");
  const layouts = shards.map((shard, part) => {
    const split = new Map([
      ["split.no", part],
      ["split.count", shards.length],
      ["split.tensors.count", plan.length],
    ]);
    const keys = shards.length === 1 ? metadata : new Map([...(part === 0 ? metadata : []), ...split]);
    return encodeGgufHeader(
      keys,
      shard.map(({ name, source, format: own, bytes }) => ({ name, shape: source.shape, format: own, bytes })),
    );
  });
  const total = layouts.reduce((sum, { end }) => sum + end, 0);

  const sources = (content.stored ?? []).map((tensor) => tensor.file);
  const output = { bytes: total, overwrite, sources, onNote };
  // loading starts with the first part
  await using out = await outputFiles(dirname(path), [...names].reverse(), output);
  await using pool = createQuantizerPool(threads === undefined ? {} : { threads });
  // less the gaps between tensors
  const written = layouts.reduce((sum, { header }) => sum + header.length, 0) + totalBytes(plan);
  let done = 0;
  const onBytes = (count: number): void => {
    done += count;
    onProgress?.({ phase: "writing", done, total: written });
  };
  try {
    for (const [index, shard] of shards.entries()) {
      const { header, offsets, end } = layouts[index]!;
      const stretches = shard.map((tensor, i) => {
        return { offset: offsets[i]!, pieces: convertedRows(content, tensor, pool, { signal }) };
      });
      await writeTensors(out.temporary(names[index]!), header, stretches, end, onBytes);
    }
    signal?.throwIfAborted();
    await out.commit();
  } catch (error) {
    throw explainWriting(error, path);
  }
  return { files: names.map((name) => join(dirname(path), name)), bytes: total, tensors: plan };
}

/** llama.cpp's number for files whose matrices are mostly of one format. */
const fileTypes: Readonly<Record<FormatName, number>> = {
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

async function metadataOf(
  content: WriteContent,
  plan: readonly PlannedTensor[],
  format: TargetFormat,
  note: (text: string) => void,
): Promise<ReadonlyMap<string, unknown>> {
  const { config, metadata } = content;
  const name = metadata.get("general.name");
  const fileType = isRecipe(format) ? recipes[format].fileType : fileTypes[mostCommon(plan)];
  const own = format === "keep" ? metadata.get("general.file_type") : undefined;
  const entries = new Map<string, unknown>([
    ["general.architecture", "llama"],
    ["general.name", typeof name === "string" ? name : content.name.split(/[\\/]/).at(-1)],
    ["general.file_type", own ?? fileType],
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
  // Who made the model, its licence and the like.
  for (const [key, value] of metadata) {
    if (key.startsWith("general.") && key !== "general.alignment" && !entries.has(key)) entries.set(key, value);
  }
  for (const [key, value] of ropeScalingToGguf(config.ropeScaling)) entries.set(`llama.rope.scaling.${key}`, value);
  for (const [key, value] of await ggufText(content, note)) entries.set(key, value);
  return entries;
}
