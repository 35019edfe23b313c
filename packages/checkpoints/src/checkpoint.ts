// What an opened checkpoint is, whatever file it came from: weights under canonical names, the configuration and the
// tokenizer. Files only differ in where a tensor's bytes lie; `fileCheckpoint` does for all of them what follows from that.

import {
  CheckpointError,
  columnCount,
  type FormatName,
  formatBytes,
  type LlamaConfig,
  llamaGraph,
  PolyllamaError,
  type RowRange,
  rowCount,
  type TextSetup,
  type Tokenizer,
  textSetupOf,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import type { ByteSource } from "./byte-source.ts";
import { identify } from "./fingerprint.ts";
import { storedName } from "./names.ts";
import { readInterleaved } from "./permute.ts";

/** The layouts that are read. */
import { checkVocabulary, fitVocabulary } from "./vocabulary.ts";

/** What a checkpoint was opened from. */
export type CheckpointKind = "gguf" | "safetensors" | "pytorch" | "meta" | "llama2.c" | "synthetic";

/** A tensor as its file has it. */
export interface StoredTensor {
  /** Name within the file. */
  readonly name: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  /** Format; for tensors that are ignored possibly one that is not read here. */
  readonly format: FormatName | (string & {});
  /** Bytes that it takes. */
  readonly bytes: number;
  /** Path or URL of the file. */
  readonly file: string;
}

/** An opened checkpoint. Disposing it closes its files; reads that come later fail. */
export interface Checkpoint extends WeightSource, AsyncDisposable {
  readonly kind: CheckpointKind;
  readonly config: LlamaConfig;
  /** Undefined when the checkpoint came without one. */
  readonly tokenizer: Tokenizer | undefined;
  /** What the checkpoint says about BOS, ends of text, its chat format and sampling. */
  readonly text: TextSetup;
  /** What was accepted with a remark, each a sentence for people: padding rows, for instance. */
  readonly notices: readonly string[];
  /** All tensors of the files, also those that nothing reads. */
  readonly stored: readonly StoredTensor[];
  /**
   * What else the files say: GGUF's metadata by key; of safetensors its `__metadata__`, `config.json` and
   * `tokenizer_config.json` whole under these names; of Meta's files `params.json`; of both the vocabulary of
   * `tokenizer.model` under the keys of GGUF.
   */
  readonly metadata: ReadonlyMap<string, unknown>;
  /** Paths, by name, of files beside the weights that writing another checkpoint carries along: the tokenizer's, for instance. */
  readonly companions?: ReadonlyMap<string, string>;
}

export type RowReader = (info: WeightInfo, rows: RowRange, signal?: AbortSignal) => Promise<Uint8Array<ArrayBuffer>>;

/** A tensor that a weight is read from. */
export interface TensorPlace {
  /** Name within the file. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: FormatName;
  readonly source: ByteSource;
  /** Its first byte. */
  readonly offset: number;
  /** Whether its rows stand in half-split rotary order (`permute.ts`). */
  readonly halfSplit?: boolean;
  /** Reads rows of a tensor that does not lie in one run of bytes in its own format. */
  readonly read?: RowReader;
}

export interface FileCheckpointParts {
  readonly kind: CheckpointKind;
  readonly name: string;
  readonly config: LlamaConfig;
  readonly tokenizer: Tokenizer | undefined;
  /** Default: what the tokenizer alone says. */
  readonly text?: TextSetup;
  readonly notices?: readonly string[];
  /** Leave out rows without a token, or tokens without a row, whatever their number. */
  readonly fitVocabulary?: boolean;
  readonly stored: readonly StoredTensor[];
  readonly metadata: ReadonlyMap<string, unknown>;
  readonly places: ReadonlyMap<WeightName, TensorPlace>;
  /** The files, with the length of what precedes their tensors. */
  readonly files: readonly { readonly source: ByteSource; readonly headerBytes: number }[];
}

/**
 * Makes a checkpoint of tensors in files.
 *
 * @throws {CheckpointError} when tensors and configuration contradict each other.
 */
export function fileCheckpoint(given: FileCheckpointParts): Checkpoint {
  const parts = fitVocabulary(given);
  const { name, config, places, files } = parts;
  const weights = checkTensors(parts);
  checkVocabulary(parts);
  let fingerprint: Promise<string> | undefined;
  return {
    kind: parts.kind,
    name,
    config,
    tokenizer: parts.tokenizer,
    text: parts.text ?? textSetupOf(parts.tokenizer),
    notices: parts.notices ?? [],
    stored: parts.stored,
    metadata: parts.metadata,
    weights,
    async read(weight, rows, signal) {
      const info = findWeight(weights, weight, name);
      const { source, offset, halfSplit, read: readRows } = places.get(weight)!; // `weights` lists exactly the places
      const range = resolveRows(info, rows);
      if (readRows !== undefined) return readRows(info, range, signal);
      const rowBytes = formatBytes(info.format, columnCount(info));
      const read = (wanted: RowRange) => source.read(offset + wanted.first * rowBytes, wanted.count * rowBytes, signal);
      return halfSplit ? readInterleaved(range, config.headDim, rowBytes, read) : read(range);
    },
    fingerprint() {
      fingerprint ??= identify(parts).catch((error: unknown) => {
        fingerprint = undefined;
        throw error;
      });
      return fingerprint;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(files.map(({ source }) => source.close()));
    },
  };
}

/** The weight of that name. @throws {PolyllamaError} `ERR_OPTION` */
export function findWeight(weights: ReadonlyMap<WeightName, WeightInfo>, name: WeightName, source: string): WeightInfo {
  const info = weights.get(name);
  if (info === undefined) throw new PolyllamaError("ERR_OPTION", `${source} has no weight "${name}".`);
  return info;
}

/** The rows to read. @throws {PolyllamaError} `ERR_OPTION` for rows that the tensor does not have. */
export function resolveRows(info: WeightInfo, rows: RowRange | undefined): RowRange {
  const all = rowCount(info);
  if (rows === undefined) return { first: 0, count: all };
  const { first, count } = rows;
  if (Number.isInteger(first) && Number.isInteger(count) && first >= 0 && count >= 0 && first + count <= all)
    return rows;
  throw new PolyllamaError(
    "ERR_OPTION",
    `${info.name} has ${all} rows; rows ${first} to ${first + count} do not exist.`,
  );
}

/** Whose names stand in the files. */
const familyOf = {
  gguf: "gguf",
  safetensors: "huggingFace",
  pytorch: "huggingFace",
  meta: "canonical",
  "llama2.c": "canonical",
  synthetic: "canonical",
} as const;

/** Checks the tensors against what the model's graph needs, and lists them as weights. */
function checkTensors({ kind, name, config, places }: FileCheckpointParts): ReadonlyMap<WeightName, WeightInfo> {
  const weights = new Map<WeightName, WeightInfo>();
  for (const { name: weight, shape } of llamaGraph(config).weights) {
    const place = places.get(weight);
    if (place === undefined) {
      throw new CheckpointError(
        { file: name, tensor: storedName(weight, familyOf[kind]) ?? weight },
        `this tensor (${weight}) is missing`,
        `A Llama of ${config.layers} layers has it; the checkpoint is incomplete, or only one of several files was given.`,
      );
    }
    if (String(place.shape) !== String(shape)) throw misshapen(place, weight, shape, config);
    if (shape.length === 1 && !["f32", "f16", "bf16"].includes(place.format)) {
      throw new CheckpointError(
        { file: place.source.name, tensor: place.name },
        `this norm is stored as ${place.format}`,
        "Norms must be f32, f16 or bf16; convert the checkpoint again.",
      );
    }
    weights.set(weight, { name: weight, shape, format: place.format });
  }
  for (const [weight, place] of places) {
    if (weights.has(weight)) continue;
    throw new CheckpointError(
      { file: place.source.name, tensor: place.name },
      `a Llama of ${config.layers} layers has no such tensor`,
      "The configuration belongs to another checkpoint, or declares too few layers.",
    );
  }
  return weights;
}

function misshapen(
  place: TensorPlace,
  weight: WeightName,
  shape: readonly number[],
  config: LlamaConfig,
): CheckpointError {
  const where = { file: place.source.name, tensor: place.name };
  const [rows, columns] = place.shape;
  const isTable = weight === "tok_embeddings.weight" || weight === "output.weight";
  if (isTable && place.shape.length === 2 && columns === config.dim) {
    return new CheckpointError(
      where,
      `it has ${rows} rows, but the configuration declares a vocabulary of ${config.vocabSize}`,
      "Use the configuration and the tokenizer that belong to these weights.",
    );
  }
  return new CheckpointError(
    where,
    `its shape is [${place.shape}], but the configuration makes ${weight} [${shape}]`,
    "Use the configuration that belongs to these weights.",
  );
}
