// The .bin files of llama2.c (github.com/karpathy/llama2.c, export.py): sizes, then f32 tensors in a fixed order.
// Version 0 has a header of 28 bytes and a negative vocabulary size where the output matrix is not the embedding table;
// version 1 begins with a magic number and puts the norms first; version 2 is version 1 with every matrix in int8, in
// groups with an f32 scale each. All store rotary pairs interleaved. Version 2 is read as f32: its groups run on across
// rows and its scales have more digits than those of ggml's formats, so that only the products, each rounded once, keep
// what the file says.

import { CheckpointError, type LlamaConfig, readCut, validateConfig, type WeightName } from "@polyllama/core";
import type { Checkpoint, StoredTensor } from "../checkpoint.ts";
import { fileCheckpoint } from "./file-checkpoint.ts";
import type { CutReader, TensorPlace } from "./parts.ts";
import type { ByteSource } from "./sources/byte-source.ts";
import type { FoundTokenizer } from "./text-files.ts";

const magic = 0x616b3432;
/** llama2.c takes 64, or less where the width asks for it. */
const mostGroup = 2 ** 20;

/** What precedes the weights in a llama2.c file. */
export interface Llama2cHeader {
  readonly version: 0 | 1 | 2;
  readonly config: LlamaConfig;
  readonly headerBytes: number;
  /** Weights that share a scale, in version 2. */
  readonly groupSize?: number;
}

/**
 * Reads the header of a llama2.c file.
 *
 * @throws {CheckpointError}; `PolyllamaError` `ERR_CONFIG` for sizes that are no Llama's.
 */
export async function readLlama2cHeader(source: ByteSource, signal?: AbortSignal): Promise<Llama2cHeader> {
  const file = source.name;
  const bytes = await source.read(0, Math.min(256, source.size), signal);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 28) throw incomplete(file, source.size, 28);
  if (view.getUint32(0, true) !== magic) {
    const config = sizes(view, 0, file, view.getInt32(20, true) > 0);
    return { version: 0, config, headerBytes: 28 };
  }
  const version = view.getInt32(4, true);
  if (version !== 1 && version !== 2) {
    throw new CheckpointError(
      { file },
      `this is version ${version} of llama2.c's format`,
      "Versions 0, 1 and 2 are read here; export the model again with one of these.",
    );
  }
  if (bytes.length < 256) throw incomplete(file, source.size, 256);
  const config = sizes(view, 8, file, view.getUint8(36) !== 0);
  if (version === 1) return { version, config, headerBytes: 256 };
  const groupSize = view.getInt32(37, true);
  if (groupSize < 1 || groupSize > mostGroup) {
    throw new CheckpointError({ file }, `its group size is ${groupSize}`, "The file is damaged; export it again.");
  }
  return { version, config, headerBytes: 256, groupSize };
}

function sizes(view: DataView, start: number, file: string, tiedEmbeddings: boolean): LlamaConfig {
  const field = (index: number): number => view.getInt32(start + 4 * index, true);
  const dim = field(0);
  const heads = field(3);
  return validateConfig(
    {
      dim,
      hiddenDim: field(1),
      layers: field(2),
      heads,
      kvHeads: field(4),
      headDim: dim / heads,
      vocabSize: Math.abs(field(5)),
      contextLength: field(6),
      normEps: 1e-5,
      ropeTheta: 10000,
      ropeScaling: { type: "none" },
      tiedEmbeddings,
    },
    file,
  );
}

/**
 * Opens a llama2.c file. The checkpoint closes the source; when this throws, the source stays open.
 *
 * @param fitVocabulary Leave out rows without a token, or tokens without a row, whatever their number.
 * @throws {CheckpointError}; `PolyllamaError` `ERR_CONFIG`
 */
export async function openLlama2c(
  source: ByteSource,
  header: Llama2cHeader,
  found: Pick<FoundTokenizer, "tokenizer" | "vocabulary"> | undefined,
  fitVocabulary = false,
): Promise<Checkpoint> {
  const { config, version, headerBytes, groupSize } = header;
  const file = source.name;
  const places = new Map<WeightName, TensorPlace>();
  let offset = headerBytes;
  const stored: StoredTensor[] = [];
  const add = (name: WeightName, shape: readonly number[]): void => {
    const elements = shape.reduce((product, size) => product * size, 1);
    if (groupSize === undefined || shape.length === 1) {
      places.set(name, { name, shape, format: "f32", source, offset });
      stored.push({ name, shape, format: "f32", bytes: 4 * elements, file });
      offset += 4 * elements;
      return;
    }
    if (elements % groupSize !== 0) {
      const problem = `its ${elements} elements are no whole groups of ${groupSize}`;
      throw new CheckpointError({ file, tensor: name }, problem, "The file is damaged; export it again.");
    }
    const read = readGroups(source, offset, elements, groupSize);
    places.set(name, { name, shape, format: "f32", source, offset, read });
    const bytes = elements + (4 * elements) / groupSize;
    stored.push({ name, shape, format: `int8, groups of ${groupSize}`, bytes, file });
    offset += bytes;
  };
  const addLayers = (part: string, shape: readonly number[]): void => {
    for (let layer = 0; layer < config.layers; layer++) add(`layers.${layer}.${part}.weight`, shape);
  };

  const { dim: D, heads: H, kvHeads: G, headDim: d, hiddenDim: F, vocabSize: V } = config;
  const attention = (): void => {
    addLayers("attention.wq", [H * d, D]);
    addLayers("attention.wk", [G * d, D]);
    addLayers("attention.wv", [G * d, D]);
    addLayers("attention.wo", [D, H * d]);
  };
  const feedForward = (): void => {
    addLayers("feed_forward.w1", [F, D]);
    addLayers("feed_forward.w2", [D, F]);
    addLayers("feed_forward.w3", [F, D]);
  };
  if (version === 0) {
    add("tok_embeddings.weight", [V, D]);
    addLayers("attention_norm", [D]);
    attention();
    addLayers("ffn_norm", [D]);
    feedForward();
    add("norm.weight", [D]);
    offset += 4 * config.contextLength * d; // tables of cosines and sines, d/2 each a position; computed instead
  } else {
    addLayers("attention_norm", [D]);
    addLayers("ffn_norm", [D]);
    add("norm.weight", [D]);
    add("tok_embeddings.weight", [V, D]);
    attention();
    feedForward();
  }
  if (!config.tiedEmbeddings) add("output.weight", [V, D]);
  if (offset !== source.size) throw incomplete(file, source.size, offset);

  const metadata = new Map<string, unknown>([["version", version], ...(found?.vocabulary ?? [])]);
  const files = [{ source, headerBytes }];
  return fileCheckpoint({
    kind: "llama2.c",
    name: file,
    config,
    tokenizer: found?.tokenizer,
    stored,
    metadata,
    places,
    files,
    fitVocabulary,
  });
}

/** Reads int8 weights, which `elements / groupSize` scales follow, as their f32 products. */
function readGroups(source: ByteSource, offset: number, elements: number, groupSize: number): CutReader {
  const read = async (start: number, count: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> => {
    const firstGroup = Math.floor(start / groupSize);
    const groups = Math.ceil((start + count) / groupSize) - firstGroup;
    const quants = await source.read(offset + start, count, signal);
    const scales = await source.read(offset + elements + 4 * firstGroup, 4 * groups, signal);
    const scale = new DataView(scales.buffer, scales.byteOffset, scales.byteLength);
    const bytes = new Uint8Array(4 * quants.length);
    const values = new DataView(bytes.buffer);
    for (let i = 0; i < quants.length; i++) {
      const group = Math.floor((start + i) / groupSize) - firstGroup;
      values.setFloat32(4 * i, ((quants[i]! << 24) >> 24) * scale.getFloat32(4 * group, true), true);
    }
    return bytes;
  };
  return (_, cut, signal) => readCut(cut, (start, length) => read(start / 4, length / 4, signal));
}

function incomplete(file: string, size: number, expected: number): CheckpointError {
  return new CheckpointError(
    { file },
    `as a llama2.c file it would have ${expected} bytes, but it has ${size}`,
    "It is incomplete, or not a llama2.c file; download it again.",
  );
}
