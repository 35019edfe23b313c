// A checkpoint whose vocabulary has grown: the same weights with rows behind the embedding table and the output matrix,
// and the larger tokenizer in the old one's place. It is a view: rows are made as they are read, so that writing a 7B
// model needs no more memory than one piece of it, and all old rows keep their bytes.
//
// What the rows of new pieces are is computed by @polyllama/vocabulary, or was made elsewhere and is read from a file.

import {
  CheckpointError,
  checkOptions,
  columnCount,
  cutWeight,
  formatBytes,
  type OptionSchema,
  option,
  PolyllamaError,
  resolveRanges,
  rowCount,
  type Tokenizer,
  type WeightInfo,
  type WeightName,
} from "@polyllama/core";
import { formats, isWritable, quantizeRows } from "@polyllama/formats";
import { checkContinues, meansOfAll, meansOfSubTokens, type ReadNewRows } from "@polyllama/vocabulary";
import { type Checkpoint, findWeight } from "./checkpoint.ts";
import { asObject } from "./json.ts";
import { storedName } from "./names.ts";
import { hexDigest } from "./read/fingerprint.ts";
import { readSafetensorsHeader } from "./read/safetensors.ts";
import { openFile } from "./read/sources/disk.ts";
import { readTokenizer } from "./read/tokenizer-files.ts";

/** What `extendVocabulary` makes of the new rows. */
export interface ExtendOptions {
  /**
   * What the rows of new pieces are: the mean of the rows of the old tokens that a piece is written with (`sub-tokens`,
   * the default), the mean of all old rows (`mean`), or those of a safetensors file, where `model.embed_tokens.weight`
   * and `lm_head.weight` have a row for each new piece, or for every piece.
   */
  readonly rows?: "sub-tokens" | "mean" | { readonly file: string };
  readonly signal?: AbortSignal;
}

const extendOptionTypes: OptionSchema<ExtendOptions> = {
  rows: option.either(option.oneOf(["sub-tokens", "mean"]), {
    expected: "an object with the path of a file",
    accepts: (value) => option.anyObject.accepts(value) && typeof (value as { file?: unknown }).file === "string",
  }),
  signal: option.signal,
};

/** Raised when the same vocabulary would get other rows than before. */
const extensionVersion = 1;

interface NewRows {
  readonly read: ReadNewRows;
  /** Changes when what they are read from may have changed. */
  readonly version?: string | undefined;
}

/**
 * The checkpoint with the vocabulary of a `tokenizer.model` that continues its own. Disposing it disposes the
 * checkpoint.
 *
 * @param tokenizerPath A SentencePiece file whose first pieces are those of the checkpoint, as `mergeVocabularies`
 * writes it.
 * @throws {CheckpointError} when the checkpoint has no such vocabulary, or its tables are in a format that cannot be
 * written; {@link PolyllamaError} `ERR_TOKENIZER` when the new one does not continue the old one, `ERR_OPTION`; what
 * reading throws.
 */
export async function extendVocabulary(
  checkpoint: Checkpoint,
  tokenizerPath: string,
  options: ExtendOptions = {},
): Promise<Checkpoint> {
  checkOptions(options, extendOptionTypes, "extendVocabulary()");
  const { rows = "sub-tokens", signal } = options;
  const { config, name } = checkpoint;
  const { tokenizer, vocabulary } = await readTokenizer(tokenizerPath, config.vocabSize, signal);
  if (vocabulary === undefined) {
    throw new PolyllamaError(
      "ERR_TOKENIZER",
      `${tokenizerPath}: a SentencePiece vocabulary is needed, a tokenizer.model or the one within a GGUF file.`,
    );
  }
  const old = checkpoint.tokenizer;
  if (old === undefined) {
    throw new CheckpointError(
      { file: name },
      "it has no tokenizer whose vocabulary could be extended",
      "Open it with the option `tokenizer`, naming its own.",
    );
  }
  checkContinues(old, tokenizer, tokenizerPath);
  const weights = grownWeights(checkpoint, tokenizer.vocabSize);
  const newRows = await rowMaker(checkpoint, tokenizer, vocabulary, rows, signal);

  return {
    ...checkpoint,
    config: { ...config, vocabSize: tokenizer.vocabSize },
    tokenizer,
    weights,
    metadata: grownMetadata(checkpoint, vocabulary, tokenizer.vocabSize),
    companions: grownCompanions(checkpoint, tokenizerPath),
    async read(weight, ranges, signal) {
      const from = findWeight(checkpoint.weights, weight, name);
      const info = findWeight(weights, weight, name);
      if (info === from) return checkpoint.read(weight, ranges, signal);
      const cut = resolveRanges(info, ranges);
      const { first, count } = cut.rows;
      const split = Math.min(Math.max(rowCount(from), first), first + count);
      const output = new Uint8Array(cut.cutBytes * count);
      const oldRows = split - first;
      if (oldRows > 0) {
        const old = { rows: { first, count: oldRows }, columns: cut.columns };
        output.set(await checkpoint.read(weight, old, signal));
      }
      if (oldRows < count) {
        const made = { first: split - rowCount(from), count: count - oldRows };
        const values = await newRows.read(info, made, signal);
        if (!isWritable(info.format)) throw unwritable(checkpoint, info);
        const rows = quantizeRows(values, info.format);
        output.set(cutWeight(rows, { ...cut, rows: { first: 0, count: made.count } }), oldRows * cut.cutBytes);
      }
      return output;
    },
    locate: (weight) =>
      weights.get(weight) === checkpoint.weights.get(weight) ? checkpoint.locate?.(weight) : undefined,
    async fingerprint() {
      const from = typeof rows === "string" ? rows : newRows.version;
      // scores decide which old pieces a new one is made of
      const added = JSON.stringify([extensionVersion, [...vocabulary], from]);
      return `${await checkpoint.fingerprint()}:${await hexDigest(new TextEncoder().encode(added))}`;
    },
    [Symbol.asyncDispose]: () => checkpoint[Symbol.asyncDispose](),
  };
}

/** The weights, with more rows in the tables. */
function grownWeights(checkpoint: Checkpoint, vocabSize: number): ReadonlyMap<WeightName, WeightInfo> {
  const weights = new Map(checkpoint.weights);
  for (const name of ["tok_embeddings.weight", "output.weight"] as const) {
    const info = weights.get(name);
    if (info === undefined || rowCount(info) === vocabSize) continue; // tied embeddings have no output matrix
    if (!isWritable(info.format)) throw unwritable(checkpoint, info);
    weights.set(name, { ...info, shape: [vocabSize, columnCount(info)] });
  }
  return weights;
}

function unwritable({ name }: Checkpoint, info: WeightInfo): CheckpointError {
  return new CheckpointError(
    { file: name, tensor: info.name },
    `it is stored as ${info.format}, in which new rows cannot be written`,
    "Extend the original checkpoint instead, and quantize the result.",
  );
}

function grownMetadata(
  { metadata }: Checkpoint,
  vocabulary: ReadonlyMap<string, unknown>,
  vocabSize: number,
): ReadonlyMap<string, unknown> {
  const grown = new Map([...metadata].filter(([key]) => !/^tokenizer\.(?:ggml|huggingface)\./.test(key)));
  for (const [key, value] of vocabulary) grown.set(key, value);
  if (grown.has("llama.vocab_size")) grown.set("llama.vocab_size", vocabSize);
  const config = asObject(metadata.get("config.json"));
  if (config !== undefined) grown.set("config.json", { ...config, vocab_size: vocabSize });
  return grown;
}

/** Files that are carried along; those that spell the old vocabulary are not. */
function grownCompanions({ companions }: Checkpoint, tokenizerPath: string): ReadonlyMap<string, string> {
  const grown = new Map(companions);
  for (const name of ["tokenizer.json", "added_tokens.json", "tokenizer.model"]) grown.delete(name);
  if (!tokenizerPath.endsWith(".gguf")) grown.set("tokenizer.model", tokenizerPath);
  return grown;
}

async function rowMaker(
  checkpoint: Checkpoint,
  tokenizer: Tokenizer,
  vocabulary: ReadonlyMap<string, unknown>,
  rows: NonNullable<ExtendOptions["rows"]>,
  signal: AbortSignal | undefined,
): Promise<NewRows> {
  if (rows === "sub-tokens")
    return { read: meansOfSubTokens(checkpoint, checkpoint.config.vocabSize, tokenizer, vocabulary) };
  if (rows === "mean") return { read: meansOfAll(checkpoint) };
  return rowsOfFile(checkpoint, tokenizer.vocabSize, rows.file, signal);
}

/** @throws {CheckpointError} when the file lacks a table, or has another number of rows or columns. */
async function rowsOfFile(
  checkpoint: Checkpoint,
  vocabSize: number,
  path: string,
  signal: AbortSignal | undefined,
): Promise<NewRows> {
  const source = await openFile(path);
  let header: Awaited<ReturnType<typeof readSafetensorsHeader>>;
  try {
    header = await readSafetensorsHeader(source, signal);
  } finally {
    await source.close();
  }
  const added = vocabSize - checkpoint.config.vocabSize;
  const offsets = new Map<WeightName, { format: "f32" | "f16" | "bf16"; offset: number }>();
  for (const name of ["tok_embeddings.weight", "output.weight"] as const) {
    const info = checkpoint.weights.get(name);
    if (info === undefined) continue;
    const stored = storedName(name, "huggingFace")!; // both have one
    const tensor = header.tensors.find((one) => one.name === stored);
    const where = { file: path, tensor: stored };
    if (tensor === undefined) throw new CheckpointError(where, "it is missing", "Give rows for both tables.");
    const [rows = 0, columns] = tensor.shape;
    if (columns !== columnCount(info) || (rows !== added && rows !== vocabSize)) {
      throw new CheckpointError(
        where,
        `its shape is [${tensor.shape}]`,
        `It must be [${added}, ${columnCount(info)}], a row for each new piece, or [${vocabSize}, ${columnCount(info)}].`,
      );
    }
    const format = tensor.dtype.toLowerCase();
    if (format !== "f32" && format !== "f16" && format !== "bf16") {
      throw new CheckpointError(where, `it is stored as ${tensor.dtype}`, "Store it as F32, F16 or BF16.");
    }
    offsets.set(name, { format, offset: tensor.offset + (rows - added) * formatBytes(format, columns) });
  }
  const read: ReadNewRows = async (info, { first, count }, signal) => {
    const { format, offset } = offsets.get(info.name)!; // both tables, by the loop above
    const columns = columnCount(info);
    const rowBytes = formatBytes(format, columns);
    const file = await openFile(path);
    try {
      if (file.size !== source.size || file.version !== source.version) {
        throw new CheckpointError(
          { file: path },
          "the file changed since it was opened",
          "Extend the vocabulary again.",
        );
      }
      const bytes = await file.read(offset + first * rowBytes, count * rowBytes, signal);
      const values = new Float32Array(count * columns); // [count, D]
      formats[format].dequantize(bytes, values);
      return values;
    } finally {
      await file.close();
    }
  };
  return { read, version: JSON.stringify([source.size, source.version]) };
}
