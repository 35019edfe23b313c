// A checkpoint made of tensors in files. Kinds of files only differ in where a tensor's bytes lie; this does for all of
// them what follows from that.

import {
  CheckpointError,
  type LlamaConfig,
  llamaGraph,
  textSetupOf,
  type WeightInfo,
  type WeightName,
} from "@polyllama/core";
import { type Checkpoint, findWeight } from "../checkpoint.ts";
import { storedName } from "../names.ts";
import { identify } from "./fingerprint.ts";
import { checkVocabulary, fitVocabulary } from "./fit-vocabulary.ts";
import type { FileCheckpointParts, TensorPlace } from "./parts.ts";
import { readPlaced } from "./placed.ts";

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
    async read(weight, ranges, signal) {
      const info = findWeight(weights, weight, name);
      const place = places.get(weight)!; // `weights` lists exactly the places
      return await readPlaced(info, place, config.headDim, ranges, signal);
    },
    locate(weight) {
      const { source, offset, halfSplit = false, read } = places.get(findWeight(weights, weight, name).name)!; // as above
      const { path, version } = source;
      if (halfSplit || read !== undefined || path === undefined || version === undefined) return undefined;
      return { path, offset, version };
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
