// The .bin files of llama2.c (github.com/karpathy/llama2.c, export.py): sizes, then f32 tensors in a fixed order. Version 0
// has a header of 28 bytes and a negative vocabulary size where the output matrix is not the embedding table; version 1
// begins with a magic number and puts the norms first. Both store rotary pairs interleaved.

import { CheckpointError, type LlamaConfig, type Tokenizer, validateConfig, type WeightName } from "@polyllama/core";
import type { ByteSource } from "./byte-source.ts";
import { type Checkpoint, fileCheckpoint, type TensorPlace } from "./checkpoint.ts";
import { checkVocabulary } from "./vocabulary.ts";

const MAGIC = 0x616b3432;

export interface Llama2cHeader {
  readonly version: 0 | 1;
  readonly config: LlamaConfig;
  readonly headerBytes: number;
}

/**
 * Reads the header of a llama2.c file.
 *
 * @throws {CheckpointError}; {@link PolyllamaError} `ERR_CONFIG` for sizes that are no Llama's.
 */
export async function readLlama2cHeader(source: ByteSource, signal?: AbortSignal): Promise<Llama2cHeader> {
  const file = source.name;
  const bytes = await source.read(0, Math.min(256, source.size), signal);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 28) throw incomplete(file, source.size, 28);
  if (view.getUint32(0, true) !== MAGIC) {
    const config = sizes(view, 0, file, view.getInt32(20, true) > 0);
    return { version: 0, config, headerBytes: 28 };
  }
  const version = view.getInt32(4, true);
  if (version !== 1) {
    throw new CheckpointError(
      { file },
      `this is version ${version} of llama2.c's format`,
      "Versions 0 and 1 are read here; export the model again with --version 0 or 1.",
    );
  }
  if (bytes.length < 256) throw incomplete(file, source.size, 256);
  return { version, config: sizes(view, 8, file, view.getUint8(36) !== 0), headerBytes: 256 };
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
 * @throws {CheckpointError}; {@link PolyllamaError} `ERR_CONFIG`
 */
export async function openLlama2c(
  source: ByteSource,
  header: Llama2cHeader,
  tokenizer: Tokenizer | undefined,
): Promise<Checkpoint> {
  const { config, version, headerBytes } = header;
  const file = source.name;
  const places = new Map<WeightName, TensorPlace>();
  let offset = headerBytes;
  const add = (name: WeightName, shape: readonly number[]): void => {
    places.set(name, { name, shape, format: "f32", source, offset });
    offset += 4 * shape.reduce((product, size) => product * size, 1);
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

  const stored = [...places.values()].map(({ name, shape, format }) => {
    return { name, shape, format, bytes: 4 * shape.reduce((product, size) => product * size, 1), file };
  });
  const metadata = new Map<string, unknown>([["version", version]]);
  const files = [{ source, headerBytes }];
  const checkpoint = fileCheckpoint({
    kind: "llama2.c",
    name: file,
    config,
    tokenizer,
    stored,
    metadata,
    places,
    files,
  });
  checkVocabulary(checkpoint);
  return checkpoint;
}

function incomplete(file: string, size: number, expected: number): CheckpointError {
  return new CheckpointError(
    { file },
    `as a llama2.c file it would have ${expected} bytes, but it has ${size}`,
    "It is incomplete, or not a llama2.c file; download it again.",
  );
}
