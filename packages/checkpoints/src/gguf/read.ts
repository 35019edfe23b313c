// A GGUF file as a checkpoint. Architecture "llama" stores rotary pairs interleaved, as this project computes them, so
// tensors only change their names. What would change the result and is not computed here is refused.

import {
  CheckpointError,
  configFromGguf,
  formats,
  type Tokenizer,
  tokenizerFromGguf,
  type WeightName,
} from "@polyllama/core";
import type { ByteSource } from "../byte-source.ts";
import { type Checkpoint, fileCheckpoint, type TensorPlace } from "../checkpoint.ts";
import { canonicalName } from "../names.ts";
import { checkVocabulary } from "../vocabulary.ts";
import { type GgufTensor, readGgufHeader } from "./header.ts";

/**
 * Opens a GGUF file. The checkpoint closes the source; when this throws, the source stays open.
 *
 * @param tokenizer Gives the tokenizer, for a number of tokens, that takes the place of the one within the file.
 * @throws {CheckpointError}; {@link PolyllamaError} `ERR_CONFIG`, `ERR_TOKENIZER`
 */
export async function openGguf(
  source: ByteSource,
  tokenizer?: (vocabSize: number) => Promise<Tokenizer>,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  const { metadata, tensors, headerBytes } = await readGgufHeader(source, signal);
  const file = source.name;
  const parts = metadata.get("split.count");
  if (typeof parts === "number" && parts > 1) {
    throw new CheckpointError(
      { file },
      `this is one of ${parts} parts of a split GGUF file`,
      "Split files are not read yet; join them with llama-gguf-split --merge.",
    );
  }

  const places = new Map<WeightName, TensorPlace>();
  for (const tensor of tensors) {
    const name = canonicalName(tensor.name, "gguf");
    if (name !== undefined) places.set(name, { ...tensor, source });
    else if (tensor.name === "rope_freqs.weight") await checkRopeFactors(source, tensor, signal);
    else {
      throw new CheckpointError(
        { file, tensor: tensor.name },
        "Llama 2 has no such tensor",
        "The model has another architecture than its metadata says; this project would compute something else.",
      );
    }
  }

  const table = places.get("tok_embeddings.weight");
  const config = configFromGguf(metadata, file, {
    vocabSize: table?.shape[0] ?? 1, // a missing table is reported with the other tensors
    tiedEmbeddings: !places.has("output.weight"),
  });
  const declared = metadata.get("llama.vocab_size");
  if (table !== undefined && declared !== undefined && declared !== config.vocabSize) {
    throw new CheckpointError(
      { file, tensor: table.name },
      `it has ${config.vocabSize} rows, but llama.vocab_size is ${String(declared)}`,
      "The file contradicts itself; convert it again.",
    );
  }
  const checkpoint = fileCheckpoint({
    kind: "gguf",
    name: file,
    config,
    tokenizer: await (tokenizer?.(config.vocabSize) ?? tokenizerWithin(metadata, file)),
    stored: tensors.map(({ name, shape, format, bytes }) => ({ name, shape, format, bytes, file })),
    metadata,
    places,
    files: [{ source, headerBytes }],
  });
  checkVocabulary(checkpoint);
  return checkpoint;
}

function tokenizerWithin(metadata: ReadonlyMap<string, unknown>, file: string): Tokenizer | undefined {
  const model = metadata.get("tokenizer.ggml.model");
  if (model === undefined || model === "no_vocab" || model === "none") return undefined;
  return tokenizerFromGguf(metadata, file);
}

/** Frequency factors of long-context models; all ones change nothing. */
async function checkRopeFactors(source: ByteSource, tensor: GgufTensor, signal?: AbortSignal): Promise<void> {
  const { name, offset, bytes, format, shape } = tensor;
  if (bytes <= 2 ** 20) {
    const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
    formats[format].dequantize(await source.read(offset, bytes, signal), values);
    if (values.every((value) => value === 1)) return;
  }
  throw new CheckpointError(
    { file: source.name, tensor: name },
    "its factors change the rotary frequencies",
    "Llama 2 has none, and they are not computed here; use a model without them.",
  );
}
