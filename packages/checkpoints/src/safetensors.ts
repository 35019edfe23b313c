// Safetensors as Hugging Face's Llama writes it: an 8-byte length, a JSON table, and the tensors' bytes without gaps, in
// one file or in several with an index. Query and key matrices are stored half-split and are read interleaved.

import {
  CheckpointError,
  configFromHuggingFace,
  duplicatedKey,
  type FormatName,
  type LlamaConfig,
  parseJson,
  quoted,
  type Tokenizer,
  textSetupFromHuggingFace,
  type WeightName,
} from "@polyllama/core";
import type { ByteSource } from "./byte-source.ts";
import { type Checkpoint, fileCheckpoint, type StoredTensor, type TensorPlace } from "./checkpoint.ts";
import { checkOverlap } from "./gguf/header.ts";
import { leftovers } from "./leftovers.ts";
import { canonicalName, commonPrefix } from "./names.ts";
import type { TextFiles } from "./text-files.ts";

/** The limit of the reference implementation. */
const MOST_HEADER_BYTES = 100_000_000;

const dtypes: Readonly<Record<string, { readonly bytes: number; readonly format?: FormatName }>> = {
  F32: { bytes: 4, format: "f32" },
  F16: { bytes: 2, format: "f16" },
  BF16: { bytes: 2, format: "bf16" },
  F64: { bytes: 8 },
  I64: { bytes: 8 },
  I32: { bytes: 4 },
  I16: { bytes: 2 },
  I8: { bytes: 1 },
  U64: { bytes: 8 },
  U32: { bytes: 4 },
  U16: { bytes: 2 },
  U8: { bytes: 1 },
  BOOL: { bytes: 1 },
  F8_E4M3: { bytes: 1 },
  F8_E5M2: { bytes: 1 },
};

/** A tensor as a safetensors header lists it; sizes in bytes. */
export interface SafetensorsTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly bytes: number;
  /** First byte within the file. */
  readonly offset: number;
}

/** What precedes the tensors' bytes in a safetensors file. */
export interface SafetensorsHeader {
  readonly tensors: readonly SafetensorsTensor[];
  readonly metadata: ReadonlyMap<string, unknown>;
  readonly headerBytes: number;
}

/** @throws {CheckpointError} for anything that is not a whole, consistent safetensors file. */
export async function readSafetensorsHeader(source: ByteSource, signal?: AbortSignal): Promise<SafetensorsHeader> {
  const file = source.name;
  const refuse = (problem: string, tensor?: string): never => {
    throw new CheckpointError(
      tensor === undefined ? { file } : { file, tensor },
      problem,
      "The file is damaged or incomplete; download or convert it again.",
    );
  };
  if (source.size < 8) refuse(`${source.size} bytes are too few for a safetensors file`);
  const start = await source.read(0, 8, signal);
  const declared = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  if (declared > BigInt(Math.min(MOST_HEADER_BYTES, source.size - 8))) {
    refuse(`the header is declared to have ${declared} bytes, but the file has ${source.size}`);
  }
  const length = Number(declared);
  const text = new TextDecoder().decode(await source.read(8, length, signal));
  const table = asObject(parseJson(text, file, MOST_VALUES)) ?? refuse("the header is not a JSON object");
  const duplicate = duplicatedKey(text);
  if (duplicate !== undefined) refuse("two tensors have this name", duplicate);

  const dataStart = 8 + length;
  const tensors: SafetensorsTensor[] = [];
  let metadata: ReadonlyMap<string, unknown> = new Map();
  for (const [name, entry] of Object.entries(table)) {
    if (name === "__metadata__" && entry === null) continue; // as some writers put it where there is none
    const fields = asObject(entry) ?? refuse("its entry is not a JSON object", name);
    if (name === "__metadata__") {
      metadata = new Map(Object.entries(fields));
      continue;
    }
    const { dtype, shape, data_offsets: offsets } = fields;
    if (typeof dtype !== "string" || !isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) {
      return refuse("its entry lacks a proper dtype, shape or data_offsets", name);
    }
    const [begin, end] = offsets as [number, number]; // two, by the line above
    const itemBytes = dtypes[dtype]?.bytes;
    const expected = shape.reduce((product, size) => product * size, itemBytes ?? 0);
    if (begin > end || (itemBytes !== undefined && expected !== end - begin)) {
      refuse(`its shape [${shape}] of ${dtype} does not fit its ${end - begin} bytes`, name);
    }
    if (dataStart + end > source.size) {
      refuse(`it ends at byte ${dataStart + end}, but the file at ${source.size}`, name);
    }
    tensors.push({ name, shape, dtype, bytes: end - begin, offset: dataStart + begin });
  }
  checkOverlap(tensors, file);
  const covered = tensors.reduce((sum, { bytes }) => sum + bytes, dataStart);
  if (covered !== source.size) refuse(`${source.size - covered} bytes of the file belong to no tensor`);
  return { tensors, metadata, headerBytes: dataStart };
}

/** A tokenizer from a file beside the weights. */
export interface FoundTokenizer {
  readonly tokenizer: Tokenizer;
  /** Its vocabulary under the keys of GGUF, where its file has scores; becomes part of the checkpoint's metadata. */
  readonly vocabulary?: ReadonlyMap<string, unknown>;
  /** What such a file is called in Hugging Face's layout, if it has a place there. */
  readonly file?: "tokenizer.model" | "tokenizer.json";
  /** What was odd and accepted. */
  readonly notices?: readonly string[];
}

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
 * Tensors that Llama does not have are refused, since they belong to a model that would be computed wrongly, except those
 * that change nothing (`leftovers.ts`) and an output matrix that is tied to the embeddings.
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

/** {@link openSafetensors} for either kind of file in which Hugging Face's layout keeps tensors. */
export async function openHuggingFace(
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
    if (name === undefined) await rest.passOver({ ...tensor, format: dtypes[tensor.dtype]?.format, source }, signal);
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

function place(tensor: SafetensorsTensor, source: ByteSource, halfSplit: boolean): TensorPlace {
  const { name, shape, dtype, offset } = tensor;
  const format = dtypes[dtype]?.format;
  if (format === undefined) {
    throw new CheckpointError(
      { file: source.name, tensor: name },
      `it is stored as ${dtype}`,
      "Read here: F32, F16 and BF16; convert the checkpoint to one of these.",
    );
  }
  return { name, shape, format, source, offset, halfSplit };
}

/** Values that a header, configuration or index has at most: far more than any model's, and little memory. */
export const MOST_VALUES: number = 2 ** 18;
/** The value as a record, when it is a JSON object. */
export function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return value as Readonly<Record<string, unknown>>; // JSON objects have nothing but named members
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= 8 && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}
