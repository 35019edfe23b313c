// Meta's own release: `params.json` and `consolidated.00.pth`, `consolidated.01.pth` and so on, one file per processor
// of a model-parallel run. Each holds a slice of every matrix: of wq, wk, wv, w1, w3 and output some rows, of wo, w2
// and tok_embeddings some columns; norms stand whole in all of them. The slices are joined while they are read.

import { CheckpointError, configFromMeta, type FormatName, type LlamaConfig, type WeightName } from "@polyllama/core";
import type { Checkpoint, StoredTensor } from "../checkpoint.ts";
import { canonicalName } from "../names.ts";
import { fileCheckpoint } from "./file-checkpoint.ts";
import { leftovers } from "./leftovers.ts";
import type { TensorPlace } from "./parts.ts";
import { readSliced } from "./slices.ts";
import type { ByteSource } from "./sources/byte-source.ts";
import type { FoundTokenizer } from "./text-files.ts";
import { readTorchFile, type TorchTensor } from "./torch/torch-file.ts";

/** Parts of a checkpoint in Meta's layout, as far as they do not come from the tensor files. */
export interface MetaParts {
  /** Name of the checkpoint: the folder or the file. */
  readonly name: string;
  /** Parsed params.json and its path. */
  readonly params: unknown;
  readonly paramsName: string;
  /** Names of tensors to leave out that Llama does not have; `*` stands for any characters. */
  readonly ignoreTensors?: readonly string[];
  /** Leave out rows without a token, or tokens without a row, whatever their number. */
  readonly fitVocabulary?: boolean;
  /** The tokenizer for a model of that many tokens, if there is one. */
  readonly tokenizer: (vocabSize: number) => Promise<FoundTokenizer | undefined>;
}

/** A tensor's slices, in the order of the files. */
type Slices = readonly { readonly tensor: TorchTensor; readonly source: ByteSource }[];

const formatOf: Readonly<Record<string, FormatName>> = { F32: "f32", F16: "f16", BF16: "bf16" };

/**
 * Opens Meta's files, in the order of their numbers. The checkpoint closes the sources; when this throws, they stay
 * open.
 *
 * @throws {CheckpointError}; `PolyllamaError` `ERR_CONFIG`
 */
export async function openMeta(
  sources: readonly ByteSource[],
  parts: MetaParts,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  configFromMeta(parts.params, parts.paramsName, { vocabSize: 1 }); // what is no Llama is told before its tensors are
  const slices = new Map<string, { readonly tensor: TorchTensor; readonly source: ByteSource }[]>();
  const files: { source: ByteSource; headerBytes: number }[] = [];
  const stored: StoredTensor[] = [];
  const notices: string[] = [];
  for (const source of sources) {
    const { tensors, headerBytes, notices: said } = await readTorchFile(source, signal);
    notices.push(...said);
    files.push({ source, headerBytes });
    for (const tensor of tensors) {
      const { name, shape, dtype, bytes } = tensor;
      stored.push({ name, shape, format: dtype.toLowerCase(), bytes, file: source.name });
      const known = slices.get(name);
      if (known === undefined) slices.set(name, [{ tensor, source }]);
      else known.push({ tensor, source });
    }
  }
  slices.delete("rope.freqs"); // part of the format, and computed instead
  const places = new Map<WeightName, TensorPlace>();
  const rest = leftovers(parts.ignoreTensors);
  for (const [name, list] of slices) {
    const { tensor, source } = list[0]!;
    if (rest.ignores(name)) continue;
    if (canonicalName(name, "canonical") === undefined) {
      for (const slice of list) {
        await rest.passOver({ ...slice.tensor, format: formatOf[slice.tensor.dtype], source: slice.source }, signal);
      }
      continue;
    }
    if (list.length !== sources.length) {
      const lacking = sources.find((candidate) => !list.some((slice) => slice.source === candidate));
      throw new CheckpointError(
        { file: lacking?.name ?? source.name, tensor: name },
        "this tensor is missing, though other files have it",
        "Files of different checkpoints are mixed, or one is damaged; download them again.",
      );
    }
    places.set(name, join(name, list, tensor));
  }

  const config = configOf(places, parts);
  checkWhole(places, config, sources);
  await checkSameModel(slices.get("norm.weight") ?? [], signal);
  notices.push(...rest.notices());
  const { tokenizer, vocabulary } = (await parts.tokenizer(config.vocabSize)) ?? {};
  const metadata = new Map<string, unknown>([["params.json", parts.params], ...(vocabulary ?? [])]);
  const { name } = parts;
  return fileCheckpoint({
    kind: "meta",
    name,
    config,
    tokenizer,
    stored,
    metadata,
    places,
    files,
    notices,
    ...(parts.fitVocabulary && { fitVocabulary: true }),
  });
}

/** The whole tensor that slices make. */
function join(name: string, slices: Slices, first: TorchTensor): TensorPlace {
  for (const { tensor, source } of slices) {
    const where = { file: source.name, tensor: name };
    if (formatOf[tensor.dtype] === undefined) {
      throw new CheckpointError(
        where,
        `it is stored as ${tensor.dtype}`,
        "Read here: F32, F16 and BF16; convert the checkpoint to one of these.",
      );
    }
    if (tensor.dtype !== first.dtype || tensor.shape.length !== first.shape.length) {
      throw new CheckpointError(
        where,
        `its slice is ${tensor.dtype} [${tensor.shape}], but that of the first file ${first.dtype} [${first.shape}]`,
        "Files of different checkpoints are mixed; download them again.",
      );
    }
  }
  const common = { name, format: formatOf[first.dtype]!, source: slices[0]!.source, offset: first.offset };
  const isMatrix = first.shape.length === 2;
  const axis = sliceAxis(name);
  const across = isMatrix ? 1 - axis : 0;
  for (const { tensor, source } of slices) {
    if (tensor.shape[across] === first.shape[across]) continue;
    throw new CheckpointError(
      { file: source.name, tensor: name },
      `its slice is [${tensor.shape}], which does not fit [${first.shape}] of the first file`,
      "Files of different checkpoints are mixed; download them again.",
    );
  }
  if (!isMatrix) return { ...common, shape: first.shape };
  const shape = [...first.shape];
  shape[axis] = slices.reduce((sum, { tensor }) => sum + tensor.shape[axis]!, 0);
  return {
    ...common,
    shape,
    read: readSliced(
      axis,
      slices.map(({ tensor, source }) => ({ source, offset: tensor.offset, size: tensor.shape[axis]! })),
    ),
  };
}

function sliceAxis(name: WeightName): 0 | 1 {
  return /(?:^tok_embeddings|\.wo|\.w2)\.weight$/.test(name) ? 1 : 0;
}

function configOf(places: ReadonlyMap<WeightName, TensorPlace>, { params, paramsName }: MetaParts): LlamaConfig {
  const table = places.get("tok_embeddings.weight")?.shape[0];
  const hiddenDim = places.get("layers.0.feed_forward.w1.weight")?.shape[0];
  const config = configFromMeta(params, paramsName, {
    vocabSize: table ?? 1, // a missing table is reported with the other tensors
    ...(hiddenDim !== undefined && { hiddenDim }),
  });
  return { ...config, tiedEmbeddings: !places.has("output.weight") };
}

/** The last norm stands whole in every file; where it differs, files of two models of one size are mixed. */
async function checkSameModel([first, ...others]: Slices, signal?: AbortSignal): Promise<void> {
  if (first === undefined) return; // reported with the other tensors that are missing
  const norm = await first.source.read(first.tensor.offset, first.tensor.bytes, signal);
  for (const { tensor, source } of others) {
    const other = await source.read(tensor.offset, tensor.bytes, signal);
    if (other.every((byte, i) => byte === norm[i])) continue;
    throw new CheckpointError(
      { file: source.name, tensor: tensor.name },
      `it differs from that of ${first.source.name}`,
      "Files of different checkpoints are mixed; download them again.",
    );
  }
}

/** Explains the shapes that follow when the files with the last numbers are not there. */
function checkWhole(
  places: ReadonlyMap<WeightName, TensorPlace>,
  config: LlamaConfig,
  sources: readonly ByteSource[],
): void {
  const columns = places.get("tok_embeddings.weight")?.shape[1];
  if (columns === undefined || columns >= config.dim || config.dim % (columns / sources.length) !== 0) return;
  const expected = config.dim / (columns / sources.length);
  throw new CheckpointError(
    { file: sources.at(-1)!.name },
    `its slices are those of one of ${expected} files, but ${sources.length} ${sources.length === 1 ? "is" : "are"} there`,
    `Put consolidated.00.pth to consolidated.${String(expected - 1).padStart(2, "0")}.pth into one folder.`,
  );
}
