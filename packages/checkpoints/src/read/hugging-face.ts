// A checkpoint in Hugging Face's layout: tensors in one file or in several with an index, of safetensors or of
// torch.save, and what stands beside them. Query and key matrices are stored half-split and are read interleaved.

import {
  CheckpointError,
  configFromHuggingFace,
  type LlamaConfig,
  quoted,
  textSetupFromHuggingFace,
  type WeightName,
} from "@polyllama/core";
import type { Checkpoint, StoredTensor } from "../checkpoint.ts";
import { asObject } from "../json.ts";
import { canonicalName, commonPrefix } from "../names.ts";
import { fileCheckpoint } from "./file-checkpoint.ts";
import { leftovers } from "./leftovers.ts";
import type { TensorPlace } from "./parts.ts";
import { formatOfDtype, readSafetensorsHeader, type SafetensorsHeader, type SafetensorsTensor } from "./safetensors.ts";
import type { ByteSource } from "./sources/byte-source.ts";
import type { FoundTokenizer, TextFiles } from "./text-files.ts";
import { readTorchFile } from "./torch/torch-file.ts";

/** Parts of a checkpoint in Hugging Face's layout, as far as they do not come from the tensor files. */
export interface HuggingFaceParts {
  /** Name of the checkpoint: the folder or the file. */
  readonly name: string;
  /** Parsed config.json and its path. */
  readonly config: unknown;
  readonly configName: string;
  /** The tokenizer for a model of that many tokens, if there is one. */
  readonly tokenizer: (vocabSize: number) => Promise<FoundTokenizer | undefined>;
  /** What the small files around a tokenizer say. */
  readonly text?: TextFiles;
  /** Names of tensors to leave out that Llama does not have; `*` stands for any characters. */
  readonly ignoreTensors?: readonly string[];
  /** Leave out rows without a token, or tokens without a row, whatever their number. */
  readonly fitVocabulary?: boolean;
  /** Tensor -> file name, from an index; the files' headers must agree. */
  readonly index?: { readonly name: string; readonly files: ReadonlyMap<string, string> };
}

/**
 * Opens one or several safetensors files. The checkpoint closes the sources; when this throws, they stay open.
 * Tensors that Llama does not have are refused, since they belong to a model that would be computed wrongly, except
 * those that change nothing (`leftovers.ts`) and an output matrix that is tied to the embeddings.
 *
 * @param sources By file name, as an index has it.
 * @throws {CheckpointError}; `PolyllamaError` `ERR_CONFIG`
 */
export function openSafetensors(
  sources: ReadonlyMap<string, ByteSource>,
  parts: HuggingFaceParts,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  return openHuggingFace("safetensors", readSafetensorsHeader, sources, parts, signal);
}

/** {@link openSafetensors} for files of torch.save: `pytorch_model.bin`, as it was before safetensors. */
export function openPytorch(
  sources: ReadonlyMap<string, ByteSource>,
  parts: HuggingFaceParts,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  return openHuggingFace("pytorch", readTorchFile, sources, parts, signal);
}

async function openHuggingFace(
  kind: "safetensors" | "pytorch",
  readHeader: (
    source: ByteSource,
    signal?: AbortSignal,
  ) => Promise<
    Omit<SafetensorsHeader, "metadata"> & Partial<SafetensorsHeader> & { readonly notices?: readonly string[] }
  >,
  sources: ReadonlyMap<string, ByteSource>,
  parts: HuggingFaceParts,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  const found = new Map<string, { tensor: SafetensorsTensor; source: ByteSource; fileName: string }>();
  const metadata = new Map<string, unknown>();
  const files: { source: ByteSource; headerBytes: number }[] = [];
  const notices: string[] = [];
  for (const [fileName, source] of sources) {
    const header = await readHeader(source, signal);
    files.push({ source, headerBytes: header.headerBytes });
    for (const [key, value] of header.metadata ?? []) metadata.set(key, value);
    notices.push(...(header.notices ?? []));
    for (const tensor of header.tensors) {
      const other = found.get(tensor.name);
      if (other !== undefined) {
        throw new CheckpointError(
          { file: source.name, tensor: tensor.name },
          `${quoted(other.fileName)} has a tensor of the same name`,
          "Files of two checkpoints are mixed; download the checkpoint again.",
        );
      }
      found.set(tensor.name, { tensor, source, fileName });
    }
  }
  for (const [tensor, fileName] of parts.index?.files ?? []) {
    if (found.get(tensor)?.fileName === fileName) continue;
    throw new CheckpointError(
      { file: parts.index?.name ?? parts.name, tensor },
      `the index places it in ${quoted(fileName)}, which does not have it`,
      "Index and files belong to different checkpoints; download the checkpoint again.",
    );
  }
  metadata.set("config.json", parts.config);
  const { text: textFiles = {} } = parts;
  if (textFiles.tokenizerConfig !== undefined) metadata.set("tokenizer_config.json", textFiles.tokenizerConfig);

  const prefix = commonPrefix([...found.keys()]);
  const hasOutput = found.has(`${prefix}lm_head.weight`);
  const config = resolveTied(configFromHuggingFace(parts.config, parts.configName), parts.config, hasOutput);
  const places = new Map<WeightName, TensorPlace>();
  const rest = leftovers(parts.ignoreTensors);
  for (const { tensor, source } of found.values()) {
    if (rest.ignores(tensor.name)) continue;
    const name = canonicalName(tensor.name.slice(prefix.length), "huggingFace");
    if (name === undefined) await rest.passOver({ ...tensor, format: formatOfDtype(tensor.dtype), source }, signal);
    else if (name !== "output.weight" || !config.tiedEmbeddings) {
      places.set(name, place(tensor, source, /attention\.w[qk]\./.test(name)));
    }
  }
  // Weights that share memory are stored once, under either name.
  const output = found.get(`${prefix}lm_head.weight`);
  if (config.tiedEmbeddings && !places.has("tok_embeddings.weight") && output !== undefined) {
    places.set("tok_embeddings.weight", place(output.tensor, output.source, false));
  }

  notices.push(...rest.notices());
  const stored = [...found.values()].map(
    ({ tensor, source }): StoredTensor => ({
      name: tensor.name,
      shape: tensor.shape,
      format: tensor.dtype.toLowerCase(),
      bytes: tensor.bytes,
      file: source.name,
    }),
  );
  const { name } = parts;
  const rows = places.get("tok_embeddings.weight")?.shape[0] ?? config.vocabSize;
  const { tokenizer, vocabulary, notices: odd = [] } = (await parts.tokenizer(rows)) ?? {};
  notices.push(...odd);
  for (const [key, value] of vocabulary ?? []) metadata.set(key, value);
  const heard = (remark: string): void => void notices.push(`${remark}.`);
  const text = textSetupFromHuggingFace({ ...textFiles, config: parts.config }, tokenizer, heard);
  return fileCheckpoint({
    kind,
    name,
    config,
    tokenizer,
    text,
    stored,
    metadata,
    places,
    files,
    notices,
    ...(parts.fitVocabulary && { fitVocabulary: true }),
  });
}

/** A missing output matrix means tied embeddings, unless config.json says that they are not tied. */
function resolveTied(config: LlamaConfig, json: unknown, hasOutput: boolean): LlamaConfig {
  const declared = asObject(json)?.["tie_word_embeddings"];
  return { ...config, tiedEmbeddings: declared === true || (declared !== false && !hasOutput) };
}

/** @throws {CheckpointError} for a format that weights are not read from. */
export function place(tensor: SafetensorsTensor, source: ByteSource, halfSplit: boolean): TensorPlace {
  const { name, shape, dtype, offset } = tensor;
  const format = formatOfDtype(dtype);
  if (format === undefined) {
    throw new CheckpointError(
      { file: source.name, tensor: name },
      `it is stored as ${dtype}`,
      "Read here: F32, F16 and BF16; convert the checkpoint to one of these.",
    );
  }
  return { name, shape, format, source, offset, halfSplit };
}
