// A checkpoint as safetensors in Hugging Face's layout, for transformers and all that reads like it: half-split rotary
// order, its names, and beside the weights the configuration, the index of several files, and the tokenizer.

import { basename, dirname, join } from "node:path";
import { checkOptions, checkValue, formatBytes } from "@polyllama/core";
import { formats, quantizeRows } from "@polyllama/formats";
import { createQuantizerPool } from "../quantize/pool.ts";
import { type PlannedTensor, planTensors } from "./formats.ts";
import { huggingFaceFiles } from "./huggingface.ts";
import { destinationType, type WriteContent, type WriteOptions, type Written, writeOptionTypes } from "./options.ts";
import { explainWriting, outputFiles, outputFolder, writeDurably, writeTensors } from "./output.ts";
import { convertedRows } from "./rows.ts";
import { type HeaderEntry, layOut } from "./safetensors-header.ts";
import { intoShards, mostCommon, partNames, totalBytes } from "./shards.ts";

const usualShard = 5e9;

/**
 * Writes a checkpoint in Hugging Face's layout: into a folder, which then holds nothing else; or as one file, where the
 * destination ends in `.safetensors`, with the small files beside it. `keep` leaves every tensor as it is, except norms
 * that are f32 only because GGUF wants them so: they return to the matrices' format where that loses nothing.
 *
 * @throws {CheckpointError} when files cannot be written or a weight is NaN or infinite; nothing is left behind.
 * `PolyllamaError` `ERR_OPTION`, also for block formats, which safetensors does not hold.
 */
export async function writeSafetensors(
  destination: string,
  content: WriteContent,
  options: WriteOptions = {},
): Promise<Written> {
  checkValue(destination, destinationType, "destination", "writeSafetensors()");
  checkOptions(options, writeOptionTypes, "writeSafetensors()");
  const { overwrite = false, threads, onProgress, onNote, signal, format = "keep" } = options;
  const isFile = destination.endsWith(".safetensors");
  const { shardBytes = isFile ? Infinity : usualShard } = options;
  const planned = planTensors(content, "huggingFace", options);
  const plan = format === "keep" ? await narrowNorms(content, planned) : planned;
  const shards = isFile ? [plan] : intoShards(plan, shardBytes);
  const names = isFile ? [basename(destination)] : shardNames(shards.length);
  const layouts = shards.map((shard) => layOut(shard.map(headerEntry)));
  const weightBytes = layouts.reduce((sum, { size }) => sum + size, 0);
  const small = new Map(await huggingFaceFiles(content, mostCommon(plan)));
  if (names.length > 1) {
    const config = small.get("config.json")!; // always there
    small.delete("config.json");
    small.set("model.safetensors.index.json", indexJson(shards, names));
    small.set("config.json", config);
  }
  const smallBytes = [...small.values()].reduce(
    (sum, file) => sum + file.length * (typeof file === "string" ? 3 : 1),
    0,
  );

  const sources = (content.stored ?? []).map(({ file }) => file);
  const output = { bytes: weightBytes + smallBytes, overwrite, sources, onNote };
  await using out = isFile
    ? await outputFiles(dirname(destination), [...names, ...small.keys()], output)
    : await outputFolder(destination, output);
  await using pool = createQuantizerPool(threads === undefined ? {} : { threads });
  let done = 0;
  const onBytes = (count: number): void => {
    done += count;
    onProgress?.({ phase: "writing", done, total: weightBytes });
  };
  try {
    for (const [index, shard] of shards.entries()) {
      const { header, offsets, size } = layouts[index]!;
      const stretches = shard.map((tensor, i) => {
        return {
          offset: offsets[i]!,
          pieces: convertedRows(content, tensor, pool, rowOptions(tensor, content, signal)),
        };
      });
      await writeTensors(out.temporary(names[index]!), header, stretches, size, onBytes);
    }
    for (const [name, file] of small) await writeDurably(out.temporary(name), file);
    signal?.throwIfAborted();
    await out.commit();
  } catch (error) {
    throw explainWriting(error, destination);
  }
  const files = names.map((name) => (isFile ? destination : join(destination, name)));
  return { files, bytes: weightBytes, tensors: plan };
}

function rowOptions({ source }: PlannedTensor, { config }: WriteContent, signal: AbortSignal | undefined) {
  return { signal, headDim: /attention\.w[qk]\./.test(source.name) ? config.headDim : undefined };
}

/** Norms in the format of all matrices, when these have one of 16 bits and it holds every norm exactly. */
async function narrowNorms(content: WriteContent, plan: readonly PlannedTensor[]): Promise<readonly PlannedTensor[]> {
  const [format, ...others] = new Set(
    plan.filter(({ source }) => source.shape.length > 1).map((tensor) => tensor.format),
  );
  if ((format !== "f16" && format !== "bf16") || others.length > 0) return plan;
  const narrowed: PlannedTensor[] = [];
  for (const tensor of plan) {
    if (tensor.source.shape.length > 1 || tensor.format === format) narrowed.push(tensor);
    else {
      const bytes = await content.read(tensor.source.name);
      const values = new Float32Array(tensor.source.shape[0]!);
      formats[tensor.source.format].dequantize(bytes, values);
      const back = new Float32Array(values.length);
      formats[format].dequantize(quantizeRows(values, format), back);
      if (!values.every((value, i) => value === back[i])) return plan;
      narrowed.push({ ...tensor, format, bytes: formatBytes(format, values.length) });
    }
  }
  return narrowed;
}

function shardNames(count: number): readonly string[] {
  return count === 1 ? ["model.safetensors"] : partNames(count, "model", "safetensors");
}

export function headerEntry({ name, source, format, bytes }: PlannedTensor): HeaderEntry {
  return { name, dtype: format.toUpperCase(), shape: source.shape, bytes };
}

function indexJson(shards: readonly (readonly PlannedTensor[])[], names: readonly string[]): string {
  const entries = shards.flatMap((shard, i) => shard.map(({ name }) => [name, names[i]!] as const));
  const index = { metadata: { total_size: totalBytes(shards.flat()) }, weight_map: Object.fromEntries(entries.sort()) };
  return `${JSON.stringify(index, undefined, 2)}\n`;
}
